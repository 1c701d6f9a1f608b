// A team of threads, as ggml has it, for ops over memory of one's own.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "operation.h"

namespace puna {

struct Meeting {
    std::mutex mutex;
    std::condition_variable all_here;
    int size, waiting = 0, round = 0;
    int64_t next = 0;
};

struct Threads final : Team {
    Meeting &meeting;
    Threads(int index, Meeting &meeting) : Team(index, meeting.size), meeting(meeting) {}
    void barrier() override {
        std::unique_lock lock(meeting.mutex);
        const int round = meeting.round;
        if (++meeting.waiting == meeting.size) {
            meeting.waiting = 0;
            meeting.round++;
            meeting.all_here.notify_all();
        } else {
            meeting.all_here.wait(lock, [&] { return meeting.round != round; });
        }
    }
    void restart() override {
        const std::lock_guard lock(meeting.mutex);
        meeting.next = size;
    }
    int64_t take() override {
        const std::lock_guard lock(meeting.mutex);
        return meeting.next++;
    }
};

inline void run(const Operation &operation, const Tensor &op, int threads) {
    const size_t size = operation.work_size(threads, op);
    std::vector<uint8_t> memory(size + 64);
    uint8_t *work = aligned(memory.data());
    Meeting meeting;
    meeting.size = threads;
    std::vector<std::thread> others;
    const auto one = [&](int index) {
        Threads team(index, meeting);
        operation.compute(team, work, op);
    };
    for (int i = 1; i < threads; i++) others.emplace_back(one, i);
    one(0);
    for (std::thread &thread : others) thread.join();
}

} // namespace puna
