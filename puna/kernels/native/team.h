// The threads that compute one op together, and how they share its work.
#pragma once

#include <cstdint>

namespace puna {

struct Team {
    int index, size; // this thread's index, and the number of threads

    virtual void barrier() = 0;
    // A shared counter of pieces. `restart`, by one thread before a barrier, sets it to `size`: thread i begins with piece i.
    virtual void restart() = 0;
    virtual int64_t take() = 0;

  protected:
    Team(int index, int size) : index(index), size(size) {}
    ~Team() = default;
};

// f(piece) for all pieces, each on one thread. Faster threads take more.
template <class F> void share(Team &team, int64_t pieces, F f) {
    for (int64_t piece = team.index; piece < pieces; piece = team.take()) f(piece);
}

// f(from, to) for this thread's equal share of `count` items.
template <class F> void split(const Team &team, int64_t count, F f) {
    f(count * team.index / team.size, count * (team.index + 1) / team.size);
}

} // namespace puna
