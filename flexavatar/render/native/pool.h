// A small thread pool. The caller always works on its own job, idle workers lend a hand, so
// several callers may run jobs at once and a job ends even if no worker is free.
#pragma once

namespace flex {

void set_threads(int count);
int get_threads();

// Calls body(data, i) once for every i in [0, count), in any order, on several threads.
void run_parallel(int count, void (*body)(void* data, int i), void* data);

template <class Body>
void parallel_for(int count, Body body) {
    run_parallel(count, [](void* data, int i) { (*static_cast<Body*>(data))(i); }, &body);
}

}  // namespace flex
