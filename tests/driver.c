/* Runs a plan that comes on standard input with the kernels that it is linked with; answers go to standard output.
 * All numbers are int64, but states, weights, frames and answers, which are bytes.
 *
 *     inputs, outputs, arena bytes, states, weight bytes, program words, prepare words, frames
 *     a port each: stride, size, tokens, low, high          a state each: offset, bytes
 *     initial states, weights, program, prepare program, the frames of each input
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t driven_run(int64_t, int64_t, int64_t, int64_t);
int64_t driven_prepare(int64_t, int64_t, int64_t, int64_t);

static void *taken(size_t bytes, size_t beyond) {
    char *memory = calloc(1, bytes + beyond + 128);
    memory += -(uintptr_t)memory & 63;
    if (bytes && fread(memory, bytes, 1, stdin) != 1) exit(2);
    return memory;
}

static int64_t address(const void *p) { return (int64_t)(uintptr_t)p; }

int main(void) {
    int64_t *head = taken(8 * 8, 0), ports = head[0] + head[1], control[512] = {0}, *port = taken(40 * ports, 0);
    int64_t *slot = taken(16 * head[3], 0);
    char *arena = calloc(1, head[2] + 256);
    arena += -(uintptr_t)arena & 63;
    for (int64_t n = 0; n < head[3]; n++) {
        char *values = taken(slot[2 * n + 1], 0);
        memcpy(arena + slot[2 * n], values, slot[2 * n + 1]);
    }
    control[WEIGHTS] = address(taken(head[4], 64));
    control[PROGRAM] = address(taken(8 * head[5], 0));
    control[ARENA] = address(arena);
    control[INPUTS] = head[0];
    control[FRAMES] = head[7];
    driven_prepare(address(taken(8 * head[6], 0)), address(control), 0, 0);
    for (int64_t n = 0; n < ports; n++) {
        int64_t *words = control + PORTS + PORT_WORDS * n, bytes = port[5 * n] * head[7];
        memcpy(words + 1, port + 5 * n, 40);
        words[0] = address(n < head[0] ? taken(bytes, 64) : calloc(1, bytes + 64));
    }
    if (driven_run(address(control), 0, 0, 0)) return 3;
    for (int64_t n = head[0]; n < ports; n++)
        fwrite((void *)(uintptr_t)control[PORTS + PORT_WORDS * n], port[5 * n] * control[ANSWER], 1, stdout);
    return 0;
}
