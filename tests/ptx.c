// What a GPU does around a kernel, on this processor: a block's threads take turns, each up to its next barrier.
// Included by what tests/ptx.py makes of a kernel, after HELD, the bytes of its shared arrays, and `struct thread`.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OUTSIDE = 1, MISALIGNED, APART };  // what a launch can have wrong: an address, another one, a barrier

int held = HELD;
long executed;  // instructions of the last launch
static const uint64_t *ranges;  // pairs of addresses between which a kernel may read and write
static int range_count, wrong;
static char *shared_memory;
static unsigned ntid, shared_bytes;

static float u2f(uint32_t bits) { float x; memcpy(&x, &bits, 4); return x; }
static uint32_t f2u(float x) { uint32_t bits; memcpy(&bits, &x, 4); return bits; }

// The place of `size` bytes, which a thread may touch; else a place that is nobody's, and the launch is wrong.
static void *at(uint64_t address, unsigned size) {
  static char nobody[16];
  if (address % size) { wrong = MISALIGNED; return nobody; }
  for (int i = 0; i < range_count; i += 2)
    if (ranges[i] <= address && address + size <= ranges[i + 1]) return (void *)address;
  wrong = OUTSIDE;
  return nobody;
}

// PTX's minimum and maximum: of a NaN and a number the number, and -0 is less than +0.
static float fmin_(float a, float b) { return a != a ? b : b != b ? a : a < b || (a == b && f2u(a) >> 31) ? a : b; }
static float fmax_(float a, float b) { return a != a ? b : b != b ? a : a > b || (a == b && f2u(b) >> 31) ? a : b; }
static int32_t f2i(float x) {  // towards zero, within the range, 0 for a NaN
  return x != x ? 0 : x >= 2147483648.0f ? INT32_MAX : x < -2147483648.0f ? INT32_MIN : (int32_t)x;
}
static int32_t dp4a(uint32_t a, uint32_t b, uint32_t c) {
  for (int i = 0; i < 32; i += 8) c += (int8_t)(a >> i) * (int8_t)(b >> i);
  return c;
}
static int32_t dp2a(uint32_t a, uint32_t b, uint32_t c) {
  return c + (int16_t)a * (int8_t)b + (int16_t)(a >> 16) * (int8_t)(b >> 8);
}
static uint32_t prmt(uint32_t a, uint32_t b, uint32_t selector) {
  uint64_t both = (uint64_t)b << 32 | a;
  uint32_t made = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t from = selector >> 4 * i & 15, byte = both >> 8 * (from & 7) & 255;
    made |= (from & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
  }
  return made;
}

static int go(struct thread *t, const uint64_t *param, unsigned tid, unsigned ctaid);

// All threads of a block up to its end, in the order of their numbers or backwards. Where they meet is one place.
static void block(struct thread *threads, const uint64_t *param, unsigned number, int backwards) {
  for (int there = -1; there && !wrong;) {
    there = -1;
    for (unsigned n = 0; n < ntid; n++) {
      unsigned tid = backwards ? ntid - 1 - n : n;
      int stands = go(threads + tid, param, tid, number);
      if (there >= 0 && stands != there) wrong = APART;
      there = stands;
    }
  }
}

int launch(const uint64_t *param, const unsigned *grid, uint64_t *given, int count, int backwards) {
  size_t size = HELD + grid[2] + 16;
  executed = 0, ntid = grid[1], shared_bytes = grid[2], ranges = given, range_count = count, wrong = 0;
  shared_memory = aligned_alloc(16, (size + 15) / 16 * 16);
  given[0] = (uint64_t)shared_memory, given[1] = (uint64_t)shared_memory + HELD + shared_bytes;
  struct thread *threads = malloc(ntid * sizeof *threads);
  for (unsigned number = 0; number < grid[0] && !wrong; number++) {
    memset(shared_memory, 0xA5, size);  // neither registers nor shared memory begin with zeros
    memset(threads, 0xA5, ntid * sizeof *threads);
    for (unsigned n = 0; n < ntid; n++) threads[n].stands = 0;
    block(threads, param, backwards ? grid[0] - 1 - number : number, backwards);
  }
  free(threads), free(shared_memory);
  return wrong;
}
