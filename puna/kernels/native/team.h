// The threads that compute one op together.
#pragma once

#include <cstdint>

namespace puna {

struct Team {
    int index, size; // this thread's index, and the number of threads

    virtual void barrier() = 0;
    // Pieces of work are numbered. After `restart` (by one thread) and a barrier, thread i begins with piece i and takes
    // further ones from a shared counter.
    virtual void restart() = 0;
    virtual int64_t take() = 0;

  protected:
    Team(int index, int size) : index(index), size(size) {}
    ~Team() = default;
};

// f(piece) for every piece from 0, each by one thread of the team.
template <class F> void share(Team &team, int64_t pieces, F f) {
    for (int64_t piece = team.index; piece < pieces; piece = team.take()) f(piece);
}

// This thread's part of `count` things in a row: f(from, to).
template <class F> void split(const Team &team, int64_t count, F f) {
    f(count * team.index / team.size, count * (team.index + 1) / team.size);
}

} // namespace puna
