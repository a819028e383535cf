/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin for qemu-user: how many instructions run between two marks, and where they lie.
 *
 *   -plugin counter.so,out=FILE
 *
 * A mark is a system call that no kernel has: argument 1 is the class (1 to 63) to which everything since the last mark
 * belongs, 0 for none. Every mark with a class writes the line "period CLASS INSTRUCTIONS"; at the end follows "run
 * ADDRESS CLASS:INSTRUCTIONS ..." for every stretch of instructions that ran in a class. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define CLASSES 64

typedef struct stretch { struct stretch *next; uint64_t address, count, before, of[CLASSES]; } stretch;

PUBLIC int qemu_plugin_version = 1;

static stretch *all;
static uint64_t total, before;
static FILE *out;

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    stretch *s = calloc(1, sizeof *s);
    const uint64_t length = qemu_plugin_tb_n_insns(tb);
    (void)id;
    if (!s) { perror("counter"); exit(1); }
    s->next = all;
    s->address = qemu_plugin_tb_vaddr(tb);
    all = s;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &total, length);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &s->count, length);
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                   uint64_t g, uint64_t h, uint64_t i)
{
    (void)id, (void)cpu, (void)b, (void)c, (void)d, (void)e, (void)g, (void)h, (void)i;
    if (number != MARK || a >= CLASSES) return;
    if (a) fprintf(out, "period %" PRIu64 " %" PRIu64 "\n", a, total - before);
    before = total;
    for (stretch *s = all; s; s = s->next) {
        s->of[a] += s->count - s->before;
        s->before = s->count;
    }
}

static void finish(plugin_id id, void *unused)
{
    (void)id, (void)unused;
    for (const stretch *s = all; s; s = s->next) {
        int any = 0;
        for (int a = 1; a < CLASSES; a++)
            if (s->of[a]) {
                if (!any) fprintf(out, "run %" PRIx64, s->address);
                any = fprintf(out, " %d:%" PRIu64, a, s->of[a]);
            }
        if (any) fputc('\n', out);
    }
    if (fclose(out)) { perror("counter"); exit(1); }
}

PUBLIC int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4)) out = fopen(argv[i] + 4, "w");
    if (!out) { perror("counter"); return 1; }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
