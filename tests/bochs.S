/* From the reset of an x86-64 processor to main(), and its exceptions. No firmware comes before this. The ROM and the
 * first 4 GB of memory are at HIGH, so that the addresses of a process are free; all registers of the processor may be
 * used, those of AVX-512 too. */

#define HIGH 0xffffff8000000000
#define TRAPS 0xffffff80fffff000
#define LAST 0xffffff80ffff0000 /* the 64 KB that begin with the real mode's first */

    .section .traps, "ax"               /* at TRAPS */
    .code64
    .macro trap to
    .irp register, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
    push %\register
    .endr
    cld
    lea 80(%rsp), %rdi                  /* where rip is */
    call \to
    .irp register, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
    pop %\register
    .endr
    add $8, %rsp
    iretq
    .endm

    trap missing_page
    .org 0x80
    push $0
    trap undefined

    .section .start, "ax"
    .code16
real:
    lgdtl %cs:(low_table - LAST)
    movl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $(protected - HIGH)

    .code32
protected:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movl $0x1000, %edi
    movl $0x800, %ecx
    rep stosl
    movl $0x2003, 0x1000                /* the tables of 512 GB: this one only until the jump */
    movl $0x2003, 0x1ff8
    movl $0x00000083, 0x2000            /* pages of 1 GB */
    movl $0x40000083, 0x2008
    movl $0x80000083, 0x2010
    movl $0xc0000083, 0x2018
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0x40620, %eax                 /* PAE, OSFXSR, OSXMMEXCPT, OSXSAVE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx              /* EFER */
    rdmsr
    orl $0x100, %eax                    /* long mode */
    wrmsr
    movl $0x80000023, %eax              /* PG, NE, MP, PE */
    movl %eax, %cr0
    ljmpl $24, $(long - HIGH)

    .code64
long:
    movabs $high, %rax
    jmp *%rax
high:
    movabs $(HIGH + 0x80000), %rsp
    movabs $(HIGH + 0x1000), %rax
    movq $0, (%rax)
    mov %cr3, %rax
    mov %rax, %cr3
    lgdt table(%rip)
    lidt gates_table(%rip)
    movw $32, %ax
    ltr %ax
    movl $13, %eax
    xorl %ecx, %ecx
    cpuid
    andl $0xe7, %eax                    /* x87, SSE, AVX, and AVX-512's masks and registers */
    xorl %ecx, %ecx
    xorl %edx, %edx
    xsetbv
    call main
    hlt

    .balign 16
state:                                  /* a TSS: exceptions have a stack of their own */
    .long 0
    .quad 0, 0, 0, 0, HIGH + 0x8000
    .org state + 104
segments:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
    .word 103, state - LAST
    .byte 0xff, 0x89, 0, 0xff
    .quad HIGH >> 32
    .macro gate to
    .quad (\to & 0xffff) | 24 << 16 | 0x8e01 << 32 | (\to & 0xffff0000) << 32, HIGH >> 32
    .endm
gates:
    .fill 2 * 6, 8, 0
    gate (TRAPS + 0x80)
    .fill 2 * 7, 8, 0
    gate TRAPS
low_table:
    .word low_table - segments - 1
    .long segments - HIGH
table:
    .word gates - segments - 1
    .quad segments
gates_table:
    .word low_table - gates - 1
    .quad gates

    .section .reset, "ax"
    .code16
    jmp real
