/* Reads frames from standard input and writes answers to standard output, as raw numbers (float32; tokens: int64).
 *
@inside:
 *     make && ./main < frames.bin > answers.bin
@end
@beside:
 *     make && ./main @NAME@.edgernn < frames.bin > answers.bin
@end
 */

@beside:
#include <fcntl.h>
@end
#include <signal.h>
#include <stdio.h>
@beside:
#include <sys/mman.h>
#include <sys/stat.h>
@end
#include <unistd.h>

#include "@NAME@.h"

static unsigned char memory[@UPPER@_SIZE];
static size_t got; /* bytes of a frame */

/* Whether so many bytes came. */
static int whole(void *part, size_t bytes) {
    size_t came = fread(part, 1, bytes, stdin);
    got += came;
    return came == bytes;
}

/* The library has instructions that this processor does not know. */
static void wrong_machine(int number) {
    static const char said[] = "this machine is not what the library was built for: @TARGET@; needs @NEEDS@\n";
    (void)number;
    _exit(write(2, said, sizeof said - 1) < 0 ? 2 : 1);
}

@beside:
/* The file in memory, which the system reads as it is used. */
static const void *mapped(const char *name, size_t *size) {
    struct stat about;
    void *made = MAP_FAILED;
    int file = open(name, O_RDONLY);
    if (file >= 0 && fstat(file, &about) == 0 && about.st_size > 0) {
        *size = (size_t)about.st_size;
        made = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    return made == MAP_FAILED ? NULL : made;
}

@end
@inside:
int main(void) {
@end
@beside:
int main(int count, char **names) {
    size_t size = 0;
    const char *name = count > 1 ? names[1] : "@NAME@.edgernn";
    const void *file = mapped(name, &size);
@end
@BUFFERS@
    signal(SIGILL, wrong_machine);
@beside:
    if (@NAME@_check(file, size)) {
        fprintf(stderr, "%s cannot be read, or is not for this program: %d\n", name, @NAME@_check(file, size));
        return 1;
    }
@end
    @NAME@_stream *m = @NAME@_create(@CREATED@);
    if (!m) return 1;
    while (got = 0, @READS@) {
        int answered = @NAME@_step(m, @ARGUMENTS@);
        if (answered < 0) {
            fprintf(stderr, "input %d holds a number that it must not\n", -answered);
            return 1;
        }
        if (answered && !(@WRITES@ && fflush(stdout) == 0)) return 1;
    }
    if (got) {
        fprintf(stderr, "the last frame is cut off: only %zu bytes of it came\n", got);
        return 1;
    }
    return 0;
}
