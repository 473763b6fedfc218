/* @NAME@: what stands between the header and the compiled kernels. Made by edgernn @VERSION@. */

#include "@NAME@.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers are stored with their lowest byte first"
#endif

/* The control block that the kernels read: words, then PORT_WORDS for each port, inputs first. */
enum { @WORDS@ };
enum { IN = @INPUTS@, OUT = @OUTPUTS@, CONTROL = PORTS + PORT_WORDS * (IN + OUT) };
enum { ALIGN = 64, HEADER = 52, DIGEST = 32, BLOB_VERSION = 1, STATES = @STATES@, WAITS = @WAITS@, HOP = @HOP@ };

struct @NAME@_stream {
    int64_t control[CONTROL];
@beside:
    const uint8_t *built;
@end
};

struct port { int64_t size; int64_t tokens; int64_t low; int64_t high; };
struct slot { int64_t offset; int64_t count; };

static const struct port ports[] = {@PORTS@};
static const struct slot slots[] = {@SLOTS@};

@inside:
static const uint8_t model_hash[DIGEST] = {@HASH@};

extern const uint8_t @NAME@_weights[], @NAME@_program[], @NAME@_prepare_program[], @NAME@_initial[];
@end
int64_t @NAME@_kernels_run(int64_t control, int64_t, int64_t, int64_t);
int64_t @NAME@_kernels_prepare(int64_t program, int64_t control, int64_t, int64_t);

static int64_t address(const void *p) { return (int64_t)(uintptr_t)p; }

static uint8_t *arena_of(const @NAME@_stream *m) { return (uint8_t *)(uintptr_t)m->control[ARENA]; }

static void copy(void *to, const void *from, size_t bytes) {
    for (size_t n = 0; n < bytes; n++) ((uint8_t *)to)[n] = ((const uint8_t *)from)[n];
}

/* SHA-256, FIPS 180-4, section 6.2 */

static const uint32_t constants[64] = {@CONSTANTS@};

static uint32_t turned(uint32_t word, int n) { return word >> n | word << (32 - n); }

static void digest_block(uint32_t *state, const uint8_t *block) {
    uint32_t w[64], s[8];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8
             | block[4 * t + 3];
    for (int t = 16; t < 64; t++)
        w[t] = (turned(w[t - 2], 17) ^ turned(w[t - 2], 19) ^ w[t - 2] >> 10) + w[t - 7]
             + (turned(w[t - 15], 7) ^ turned(w[t - 15], 18) ^ w[t - 15] >> 3) + w[t - 16];
    for (int n = 0; n < 8; n++) s[n] = state[n];
    for (int t = 0; t < 64; t++) {
        uint32_t one = s[7] + (turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6]))
                     + constants[t] + w[t];
        uint32_t two = (turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22))
                     + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        for (int n = 7; n > 0; n--) s[n] = s[n - 1];
        s[4] += one;
        s[0] = one + two;
    }
    for (int n = 0; n < 8; n++) state[n] += s[n];
}

static void digest(const uint8_t *data, size_t bytes, uint8_t *result) {
    uint32_t state[8] = {@START@};
    uint8_t last[128];
    size_t whole = bytes / 64 * 64, left = bytes - whole, end = left < 56 ? 64 : 128;
    for (size_t n = 0; n < whole; n += 64) digest_block(state, data + n);
    for (size_t n = 0; n < end; n++) last[n] = n < left ? data[whole + n] : 0;
    last[left] = 0x80;
    for (int n = 0; n < 8; n++) last[end - 1 - n] = (uint8_t)((uint64_t)bytes * 8 >> (8 * n));
    for (size_t n = 0; n < end; n += 64) digest_block(state, last + n);
    for (int n = 0; n < DIGEST; n++) result[n] = (uint8_t)(state[n / 4] >> (24 - n % 4 * 8));
}

static int differ(const void *a, const void *b, size_t bytes) {
    for (size_t n = 0; n < bytes; n++)
        if (((const uint8_t *)a)[n] != ((const uint8_t *)b)[n]) return 1;
    return 0;
}

/* Where weights, program and the rest are. */

struct parts {
    const uint8_t *weights, *program, *prepare, *initial, *hash;
};

@inside:
static struct parts parts_of(const @NAME@_stream *m) {
    const struct parts made = {
        @NAME@_weights, @NAME@_program, @NAME@_prepare_program, @NAME@_initial, model_hash
    };
    (void)m;
    return made;
}

@end
@beside:
/* The beginning of what was built, in the file: "edgernnB", version, 4 bytes that are 0, form, hash of the model, then
 * how many bytes there are in all, and where weights, program, prepare program and initial values begin. At the end
 * stands the sha256 of all before it. */
enum { BUILT_VERSION = @BUILT_VERSION@, FORM_AT = 16, HASH_AT = 48, TOTAL = 80, WEIGHTS_AT = 88, PROGRAM_AT = 96 };
enum { PREPARE_AT = 104, INITIAL_AT = 112, BUILT_HEADER = 128 };

static const uint8_t form[DIGEST] = {@WANTED_FORM@};

static uint64_t number(const uint8_t *at, int bytes) {
    uint64_t made = 0;
    for (int n = bytes - 1; n >= 0; n--) made = made << 8 | at[n];
    return made;
}

static struct parts parts_of(const @NAME@_stream *m) {
    const uint8_t *built = m->built;
    const struct parts made = {
        built + number(built + WEIGHTS_AT, 8), built + number(built + PROGRAM_AT, 8),
        built + number(built + PREPARE_AT, 8), built + number(built + INITIAL_AT, 8), built + HASH_AT
    };
    return made;
}

/* Finds what was built: the file's first tensor, behind a header whose length its first 8 bytes say. */
static int find(const uint8_t *file, size_t size, const uint8_t **built) {
    uint64_t begin, total;
    if (!file || size < 8) return @UPPER@_NO_FILE;
    if ((uintptr_t)file % ALIGN) return @UPPER@_MISALIGNED_FILE;
    begin = number(file, 8) + 8;
    if (begin < 8 || begin > size || size - begin < BUILT_HEADER || begin % ALIGN) return @UPPER@_NO_FILE;
    *built = file + begin;
    if (differ(*built, "edgernnB", 8)) return @UPPER@_NO_FILE;
    if (number(*built + 8, 4) > BUILT_VERSION) return @UPPER@_NEWER_FILE;
    if (differ(*built + FORM_AT, form, DIGEST)) return @UPPER@_OTHER_FILE;
    total = number(*built + TOTAL, 8);
    if (total > size - begin || total < BUILT_HEADER + STATES * 4 + DIGEST) return @UPPER@_DAMAGED_FILE;
    for (int at = WEIGHTS_AT; at <= INITIAL_AT; at += 8) {
        uint64_t place = number(*built + at, 8), least = at == WEIGHTS_AT ? BUILT_HEADER : number(*built + at - 8, 8);
        if (place % ALIGN || place < least || place > total - STATES * 4 - DIGEST) return @UPPER@_DAMAGED_FILE;
    }
    return 0;
}

int @NAME@_check(const void *file, size_t size) {
    const uint8_t *built;
    uint8_t sum[DIGEST];
    int status = find(file, size, &built);
    if (status) return status;
    size = (size_t)number(built + TOTAL, 8) - DIGEST;
    digest(built, size, sum);
    return differ(sum, built + size, DIGEST) ? @UPPER@_DAMAGED_FILE : 0;
}

@end
static void set_states(@NAME@_stream *m, const uint8_t *values) {
    for (size_t n = 0; n < sizeof slots / sizeof *slots; n++) {
        copy(arena_of(m) + slots[n].offset, values, (size_t)slots[n].count * 4);
        values += slots[n].count * 4;
    }
    @NAME@_kernels_prepare(address(parts_of(m).prepare), address(m->control), 0, 0);
}

size_t @NAME@_size(void) { return @UPPER@_SIZE; }

const char *@NAME@_version(void) { return "@STAMP@\0" "@SEAL@"; }

@NAME@_stream *@NAME@_create(@CREATES@) {
    @NAME@_stream *m = (@NAME@_stream *)(((uintptr_t)memory + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    uint8_t *arena = (uint8_t *)(((uintptr_t)(m + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
@beside:
    const uint8_t *built;
    if (@NAME@_check(file, size) || find(file, size, &built)) return 0;
@end
    if (!memory || bytes < @UPPER@_SIZE) return 0;
    for (size_t n = 0; n < @ARENA@; n++) arena[n] = 0;
    for (size_t n = 0; n < CONTROL; n++) m->control[n] = 0;
@beside:
    m->built = built;
@end
    m->control[PROGRAM] = address(parts_of(m).program);
    m->control[WEIGHTS] = address(parts_of(m).weights);
    m->control[ARENA] = address(arena);
    m->control[INPUTS] = IN;
    for (size_t n = 0; n < IN + OUT; n++) {
        int64_t *words = m->control + PORTS + PORT_WORDS * n;
        words[STRIDE] = ports[n].size * (ports[n].tokens ? 8 : 4);
        words[SIZE] = ports[n].size;
        words[TOKENS] = ports[n].tokens;
        words[LOW] = ports[n].low;
        words[HIGH] = ports[n].high;
    }
    @NAME@_reset(m);
    return m;
}

void @NAME@_reset(@NAME@_stream *m) { set_states(m, parts_of(m).initial); }

int64_t @NAME@_run(@NAME@_stream *m, size_t frames, @PARAMETERS@) {
    const void *buffers[] = {@ARGUMENTS@};
    int64_t status;
    for (size_t n = 0; n < IN + OUT; n++) m->control[PORTS + PORT_WORDS * n + ADDRESS] = address(buffers[n]);
    m->control[FRAMES] = (int64_t)frames;
    status = @NAME@_kernels_run(address(m->control), 0, 0, 0);
    return status ? -status : m->control[ANSWER];
}

int @NAME@_step(@NAME@_stream *m, @PARAMETERS@) { return (int)@NAME@_run(m, 1, @ARGUMENTS@); }

size_t @NAME@_answers(const @NAME@_stream *m, size_t frames) {
    float left = 1;
    if (WAITS) copy(&left, arena_of(m) + slots[sizeof slots / sizeof *slots - 1].offset, 4);
    return frames < (size_t)left ? 0 : 1 + (frames - (size_t)left) / HOP;
}

/* A saved state: "edgernnS", version, model, count, the states, sha256 of all that. */

void @NAME@_save(const @NAME@_stream *m, void *blob) {
    uint8_t *to = blob;
    const uint32_t version = BLOB_VERSION;
    const uint64_t count = STATES;
    copy(to, "edgernnS", 8);
    copy(to + 8, &version, 4);
    copy(to + 12, parts_of(m).hash, DIGEST);
    copy(to + 44, &count, 8);
    to += HEADER;
    for (size_t n = 0; n < sizeof slots / sizeof *slots; n++) {
        copy(to, arena_of(m) + slots[n].offset, (size_t)slots[n].count * 4);
        to += slots[n].count * 4;
    }
    digest(blob, (size_t)(to - (uint8_t *)blob), to);
}

/* Whether a stream may wait for so many frames. */
static int possible(const uint8_t *last) {
    float wait;
    copy(&wait, last, 4);
    for (int n = 1; n <= @LONGEST@; n++)
        if (wait == (float)n) return 1;
    return 0;
}

int @NAME@_load(@NAME@_stream *m, const void *blob, size_t bytes) {
    const uint8_t *from = blob;
    uint8_t sum[DIGEST];
    uint32_t version;
    uint64_t count;
    if (bytes < HEADER + DIGEST || differ(from, "edgernnS", 8)) return @UPPER@_NO_STATE;
    copy(&version, from + 8, 4);
    copy(&count, from + 44, 8);
    if (version > BLOB_VERSION) return @UPPER@_NEWER_STATE;
    digest(from, bytes - DIGEST, sum);
    if (differ(sum, from + bytes - DIGEST, DIGEST)) return @UPPER@_DAMAGED_STATE;
    if (bytes != @UPPER@_STATE_SIZE || count != STATES || differ(from + 12, parts_of(m).hash, DIGEST))
        return @UPPER@_OTHER_STATE;
    if (WAITS && !possible(from + HEADER + 4 * (STATES - 1))) return @UPPER@_IMPOSSIBLE_STATE;
    set_states(m, from + HEADER);
    return 0;
}
