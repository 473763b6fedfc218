/* Reads frames from standard input and writes answers to standard output, as raw numbers (float32; tokens: int64).
 *
 *     make && ./main < frames.bin > answers.bin
 */

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "@NAME@.h"

static unsigned char memory[@UPPER@_SIZE];

/* The library has instructions that this processor does not know. */
static void wrong_machine(int number) {
    static const char said[] = "this machine is not what the library was built for: @TARGET@; needs @NEEDS@\n";
    (void)number;
    _exit(write(2, said, sizeof said - 1) < 0 ? 2 : 1);
}

int main(void) {
@BUFFERS@
    signal(SIGILL, wrong_machine);
    @NAME@ *m = @NAME@_create(memory, sizeof memory);
    if (!m) return 1;
    while (@READS@) {
        int answered = @NAME@_step(m, @ARGUMENTS@);
        if (answered < 0) {
            fprintf(stderr, "input %d holds a number that it must not\n", -answered);
            return 1;
        }
        if (answered && !(@WRITES@ && fflush(stdout) == 0)) return 1;
    }
    return 0;
}
