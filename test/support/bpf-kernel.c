/*
 * Plays /dev/bpf for the tests of capture/bpf: the calls that the source makes, with what the kernels of OpenBSD
 * and FreeBSD answer, as far as bpf(4) of both say it. Requests are computed from structs here, not taken from the
 * program that is tested. One device, one interface (pflog0). Everything is noted in a transcript.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct bsd_ifreq { char name[16]; char value[16]; };
struct bsd_timeval { int64_t sec; long usec; };
struct bsd_program { unsigned int length; void *instructions; };
struct bsd_stat { unsigned int received, dropped; };
struct bsd_version { unsigned short major, minor; };

#define REQUEST(carries, number, size) \
	((unsigned long)(carries) << 28 | (unsigned long)(size) << 16 | 'B' << 8 | (number))
enum { NOTHING = 2, OUT = 4, IN = 8, BOTH = 12 };

static struct {
	int openbsd, fd, opened, nonblocking, bound, locked;
	unsigned int size, immediate, link_type, dropped;
	char device[32];
	char fail_call[32];
	int fail_error, fail_times, gone;
	unsigned int max_size;
	unsigned int instructions;
	unsigned char program[4096];
} state;
static struct { unsigned char *bytes; long length; } queue[64];
static int queued, taken;
static unsigned char memory[4 << 20];
static long used;
static char transcript[65536];

static void note(const char *format, ...)
{
	size_t length = strlen(transcript);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(transcript + length, sizeof transcript - length, format, arguments);
	va_end(arguments);
}

static int fail(int error)
{
	note(" -> %d\n", error);
	errno = error;
	return -1;
}

/* whether this call is to fail; then with which error */
static int injected(const char *call)
{
	if (state.fail_times == 0 || strcmp(call, state.fail_call) != 0)
		return 0;
	state.fail_times--;
	return state.fail_error;
}

/* a system that is like new */
void bpf_start(int openbsd, const char *device, unsigned int link_type, unsigned int max_size)
{
	memset(&state, 0, sizeof state);
	state.openbsd = openbsd;
	snprintf(state.device, sizeof state.device, "%s", device);
	state.link_type = link_type;
	state.max_size = max_size;
	queued = taken = 0;
	used = 0;
	transcript[0] = 0;
}

void bpf_fail(const char *call, int error, int times)
{
	snprintf(state.fail_call, sizeof state.fail_call, "%s", call);
	state.fail_error = error;
	state.fail_times = times;
}

static void wake(void)
{
	uint64_t one = 1;
	/* without BIOCIMMEDIATE it would not be readable until the buffer is full */
	if (state.immediate && write(state.fd, &one, sizeof one) < 0)
		note("wake: %d\n", errno);
}

/* the next read returns these bytes */
void bpf_capture(const void *bytes, long length)
{
	memcpy(memory + used, bytes, length);
	queue[queued].bytes = memory + used;
	queue[queued++].length = length;
	used += length;
	wake();
}

/* wakes the reader, with nothing to read */
void bpf_wake(void) { wake(); }

/* the interface goes away; the next read says so */
void bpf_destroy(int error)
{
	state.gone = error;
	wake();
}

void bpf_drop(unsigned int dropped) { state.dropped = dropped; }
int bpf_nonblocking_before_lock(void) { return state.nonblocking; }
const char *bpf_transcript(void) { return transcript; }
unsigned int bpf_program(void *into)
{
	memcpy(into, state.program, state.instructions * 8);
	return state.instructions;
}

int bpf_open(const char *path, int flags, ...)
{
	int error = injected("open");
	note("open %s %#x", path, flags);
	if (error != 0)
		return fail(error);
	if (strcmp(path, state.device) != 0)
		return fail(ENOENT);
	if (state.opened)
		return fail(EBUSY);
	state.fd = eventfd(0, EFD_CLOEXEC);
	state.opened = 1;
	state.nonblocking = state.bound = state.locked = 0;
	state.immediate = 0;
	state.size = 32768;
	note("\n");
	return state.fd;
}

int bpf_close(int fd)
{
	note("close\n");
	if (!state.opened || fd != state.fd)
		return fail(EBADF);
	state.opened = 0;
	return close(fd);
}

long bpf_read(int fd, void *into, size_t size)
{
	uint64_t count;
	long length;
	int error = injected("read");
	if (error != 0) {
		note("read");
		return fail(error);
	}
	note("read %zu", size);
	if (!state.opened || fd != state.fd)
		return fail(EBADF);
	if (size != state.size)
		return fail(EINVAL);
	if (taken == queued) {
		if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
			return fail(errno);
		return fail(state.gone ? state.gone : EAGAIN);
	}
	length = queue[taken].length;
	memcpy(into, queue[taken++].bytes, length);
	/* readable until all has been read */
	if (taken == queued && !state.gone && read(fd, &count, sizeof count) < 0)
		return fail(errno);
	note(" = %ld\n", length);
	return length;
}

static int set_program(const struct bsd_program *program)
{
	if (program->length == 0 || program->length > 512)
		return fail(EINVAL);
	state.instructions = program->length;
	memcpy(state.program, program->instructions, program->length * 8);
	note(" %u instructions\n", program->length);
	return 0;
}

int bpf_ioctl(int fd, unsigned long request, ...)
{
	const unsigned long lock = REQUEST(NOTHING, state.openbsd ? 118 : 122, 0);
	va_list arguments;
	void *argument;
	int error;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (!state.opened || fd != state.fd)
		return fail(EBADF);

#define IS(name, carries, number, type) \
	(request == REQUEST(carries, number, sizeof(type)) ? (note(name), (error = injected(name)), 1) : 0)
#define STOP_IF_LOCKED() do { if (error) return fail(error); if (state.locked) return fail(EPERM); } while (0)

	if (IS("BIOCVERSION", OUT, 113, struct bsd_version)) {
		if (error)
			return fail(error);
		((struct bsd_version *)argument)->major = 1;
		((struct bsd_version *)argument)->minor = strcmp(state.fail_call, "old") == 0 ? 0 : 1;
		note("\n");
	} else if (IS("BIOCSBLEN", BOTH, 102, unsigned int)) {
		STOP_IF_LOCKED();
		if (state.bound)
			return fail(EINVAL);
		note(" %u\n", *(unsigned int *)argument);
		if (*(unsigned int *)argument > state.max_size)
			*(unsigned int *)argument = state.max_size;
		state.size = *(unsigned int *)argument;
	} else if (IS("BIOCGBLEN", OUT, 102, unsigned int)) {
		if (error)
			return fail(error);
		*(unsigned int *)argument = state.size;
		note(" = %u\n", state.size);
	} else if (IS("BIOCSETIF", IN, 108, struct bsd_ifreq)) {
		const struct bsd_ifreq *interface = argument;
		static const char zeros[16];
		STOP_IF_LOCKED();
		note(" %.16s", interface->name);
		if (memcmp(interface->value, zeros, 16) != 0)
			return fail(EINVAL);
		if (strcmp(interface->name, "pflog0") != 0)
			return fail(ENXIO);
		state.bound = 1;
		note("\n");
	} else if (IS("BIOCGDLT", OUT, 106, unsigned int)) {
		if (error || !state.bound)
			return fail(error ? error : EINVAL);
		*(unsigned int *)argument = state.link_type;
		note(" = %u\n", state.link_type);
	} else if (IS("BIOCSETF", IN, 103, struct bsd_program)) {
		STOP_IF_LOCKED();
		return set_program(argument);
	} else if (IS("BIOCSRTIMEOUT", IN, 109, struct bsd_timeval)) {
		const struct bsd_timeval *time = argument;
		if (error)
			return fail(error);
		note(" %lld.%06ld\n", (long long)time->sec, time->usec);
	} else if (IS("BIOCIMMEDIATE", IN, 112, unsigned int)) {
		if (error)
			return fail(error);
		state.immediate = *(unsigned int *)argument;
		note(" %u\n", state.immediate);
	} else if (IS("BIOCGSTATS", OUT, 111, struct bsd_stat)) {
		if (error)
			return fail(error);
		((struct bsd_stat *)argument)->received = 4711;
		((struct bsd_stat *)argument)->dropped = state.dropped;
		note("\n");
	} else if (request == lock) {
		note("BIOCLOCK");
		if ((error = injected("BIOCLOCK")) != 0)
			return fail(error);
		/* from here on FIONBIO would be refused */
		state.nonblocking = (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
		state.locked = 1;
		note("\n");
	} else {
		note("request %#lx", request);
		return fail(ENOTTY);
	}
	return 0;
}
