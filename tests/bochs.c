/* A machine that calls functions of a process on another: it has the memory of that process, page by page, at the same
 * addresses. It asks for what a function needs, and gives back what it has changed when it returns. What the two share
 * is a disk: one waits until the other has changed its word there. */

#include <stdint.h>

enum { REQUEST, REPLY, CALL, PAGE = 8 }; /* sectors: a word each; a call, or its result; a page */
enum { FETCH = 0x100, STORE = 0x200, RETURNED = 0x300 }; /* a request: a page's address + one of these + its number */
enum { NUMBERS = 0x100 }; /* of requests; the reply is the number */
enum { READ = 0x20, WRITE = 0x30, DATA = 0x1f0, COUNT = 0x1f2, SECTOR, DRIVE = 0x1f6, COMMAND }; /* of ATA's ports */
enum { BUSY = 0x80, READY = 8 };
enum { WHOLE = 4096, PRESENT = 3, DIRTY = 0x40 };

typedef int64_t function(int64_t, int64_t, int64_t, int64_t);

/* All variables: what is linked is a ROM. */
#define HIGH 0xffffff8000000000
static struct {
    uint64_t words[64], asked, tables, spent, pages;
    uint64_t address[1 << 18], *entry[1 << 18]; /* of each page that is here, in the process and in the tables */
    const uint8_t *copied[WHOLE]; /* the instructions that stand at COPIES, by the last bits of their addresses */
} *const all = (void *)(HIGH + 0x100000);
static const uint64_t TOP = 0x1000, COPIES = 0x800000, TABLES = 0x1000000, PAGES = 0x2000000;

static void *memory(uint64_t address) { return (void *)(HIGH + (address & -WHOLE)); }

static void out(int port, uint8_t byte) { __asm__ volatile("outb %0, %w1" : : "a"(byte), "d"(port)); }

static uint8_t in(int port) {
    uint8_t byte;
    __asm__ volatile("inb %w1, %0" : "=a"(byte) : "d"(port));
    return byte;
}

/* An exception that nobody takes, where Bochs ends. */
static void stop(void) {
    struct { uint16_t bytes[5]; } none = {{0}};
    __asm__ volatile("lidt %0; ud2" : : "m"(none));
}

static void transfer(int command, int sector, int count, void *memory) {
    out(COUNT, count);
    for (int n = 0; n < 3; n++) out(SECTOR + n, sector >> 8 * n);
    out(DRIVE, 0xe0);
    out(COMMAND, command);
    for (; count; count--) {
        uint64_t words = 128;
        while ((in(COMMAND) & (BUSY | READY)) != READY) {}
        if (command == READ) __asm__ volatile("rep insl" : "+D"(memory), "+c"(words) : "d"(DATA) : "memory");
        else __asm__ volatile("rep outsl" : "+S"(memory), "+c"(words) : "d"(DATA) : "memory");
    }
}

static void ask(uint64_t what) {
    all->words[0] = what | (all->asked = (all->asked + 1) % NUMBERS);
    transfer(WRITE, REQUEST, 1, all->words);
    do transfer(READ, REPLY, 1, all->words);
    while (all->words[0] != all->asked);
}

static uint64_t *entry_of(uint64_t address) {
    uint64_t *table = memory(TOP);
    for (int shift = 39; shift > 12; shift -= 9) {
        uint64_t *entry = table + (address >> shift & 511);
        if (!*entry) {
            *entry = TABLES + WHOLE * all->tables++ | PRESENT;
            for (int n = 0; n < 512; n++) ((uint64_t *)memory(*entry))[n] = 0;
        }
        table = memory(*entry);
    }
    return table + (address >> 12 & 511);
}

void missing_page(void) {
    uint64_t begin = __builtin_ia32_rdtsc(), address, page = PAGES + WHOLE * all->pages;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    address &= -WHOLE;
    ask(address | FETCH);
    transfer(READ, PAGE, WHOLE / 512, memory(page));
    all->address[all->pages] = address;
    *(all->entry[all->pages++] = entry_of(address)) = page | PRESENT;
    all->spent += __builtin_ia32_rdtsc() - begin;
}

static void give_back(void) {
    for (uint64_t n = 0; n < all->pages; n++) {
        if (*all->entry[n] & DIRTY) {
            transfer(WRITE, PAGE, WHOLE / 512, memory(*all->entry[n]));
            ask(all->address[n] | STORE);
        }
        *all->entry[n] = 0;
        __asm__ volatile("invlpg (%0)" : : "r"(all->address[n]) : "memory");
    }
    all->pages = 0;
}

static uint8_t *put(uint8_t *to, int64_t number, int bytes) {
    for (; bytes; bytes--, number >>= 8) *to++ = number;
    return to;
}

/* AVX-VNNI's dot products, which no processor of Bochs 2.7 has, by way of AVX-512's on the same registers: a copy of the
 * instruction at *rip with the other prefix, and a jump to what follows it. */
void undefined(const uint8_t **rip) {
    const uint8_t *from = *rip, mode = from[4] >> 6, base = from[4] & 7, scaled = mode != 3 && base == 4;
    const uint8_t known = from[0] == 0xc4 && (from[1] & 31) == 2 && (from[2] & 3) == 1 && (from[3] & 0xfc) == 0x50;
    uint64_t place = (uint64_t)from % WHOLE;
    uint8_t *to = (uint8_t *)(HIGH + COPIES) + 64 * place;
    *rip = to;
    if (all->copied[place] == from) return;
    all->copied[place] = from;
    if (!known || (!mode && base == 5)) stop();
    *to++ = 0x62;
    *to++ = (from[1] & 0xe0) | 0x12;
    *to++ = from[2] | 4;
    *to++ = (from[2] & 4) << 3 | 8;
    *to++ = from[3];
    *to++ = mode == 1 ? from[4] + 0x40 : from[4]; /* AVX-512 would multiply an offset of one byte: it becomes four */
    from += 5;
    if (scaled) *to++ = *from++;
    if (mode == 1) to = put(to, (int8_t)*from++, 4);
    if (mode == 2 || (!mode && scaled && (from[-1] & 7) == 5)) to = put(to, *(const int32_t *)from, 4), from += 4;
    put(put(to, 0x25ff, 6), (int64_t)from, 8); /* jmp *0(%rip) */
}

int main(void) {
    all->asked = all->pages = all->tables = 0;
    for (int n = 0; n < WHOLE; n++) all->copied[n] = 0;
    for (;;) {
        ask(RETURNED);
        transfer(READ, CALL, 1, all->words);
        const uint64_t *words = all->words, begin = __builtin_ia32_rdtsc(); /* instructions: Bochs counts those */
        all->spent = 0;
        const uint64_t value = ((function *)words[0])(words[1], words[2], words[3], words[4]);
        const uint64_t instructions = __builtin_ia32_rdtsc() - begin - all->spent;
        give_back();
        all->words[0] = value, all->words[1] = instructions;
        transfer(WRITE, CALL, 1, all->words);
    }
}
