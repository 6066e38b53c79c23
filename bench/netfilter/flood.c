/*
 * Sends TCP SYNs to port 25 as raw frames, from as many addresses as wanted.
 *
 *   flood flood IF MAC SECONDS DEST BASE COUNT [EVERY DEST2 BASE2 COUNT2]
 *     As fast as possible, from COUNT addresses from BASE on; one in EVERY goes from COUNT2 addresses from BASE2 on
 *     to DEST2 instead. Prints {"sent":N,"seconds":S}.
 *
 *   flood steady IF MAC NUMBER RATE DEST BASE COUNT
 *     NUMBER SYNs, RATE in a second, from COUNT addresses from BASE on; sleeps in between, and waits for no answer.
 *     Prints {"sent":N,"seconds":S}.
 *
 *   flood probe IF MAC NUMBER RATE DEST BASE COUNT
 *     NUMBER SYNs, RATE in a second, to where nothing listens. The kernel answers those that are let in with a RST:
 *     prints {"sent":N,"lost":N,"p50":US,"p99":US,"max":US}, the time from SYN to RST in microseconds.
 *
 * IF is the interface, MAC the address of the next host.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SMTP = 25, FLOOD_PORT = 40000, PROBE_PORT = 40001, BATCH = 64 };
/* how long answers are waited for after the last SYN */
#define PATIENCE_NS 500000000LL
#define SECOND_NS 1000000000LL
/* addresses are taken in steps of this, so that no cache can guess the next; a prime */
#define STRIDE 7919ULL

struct frame {
  struct ether_header ether;
  struct iphdr ip;
  struct tcphdr tcp;
} __attribute__((packed));

/* some addresses, in host order */
struct range {
  uint32_t base;
  uint32_t count;
};

static void die(const char *what) {
  fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void usage(void) {
  fprintf(stderr, "usage: flood flood IF MAC SECONDS DEST BASE COUNT [EVERY DEST2 BASE2 COUNT2]\n"
                  "       flood steady IF MAC NUMBER RATE DEST BASE COUNT\n"
                  "       flood probe IF MAC NUMBER RATE DEST BASE COUNT\n");
  exit(2);
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static uint32_t address_of(const char *text) {
  struct in_addr a;
  if (inet_pton(AF_INET, text, &a) != 1) usage();
  return ntohl(a.s_addr);
}

static double positive(const char *text) {
  double value = atof(text);
  if (!(value > 0)) usage();
  return value;
}

static struct range range_of(const char *base, const char *count) {
  return (struct range){address_of(base), (uint32_t)positive(count)};
}

static uint32_t pick(struct range r, uint64_t i) { return r.base + (uint32_t)(i * STRIDE % r.count); }

/* the sum of RFC 1071 over 16-bit words in network order */
static uint32_t sum(uint32_t start, const void *data, size_t length) {
  const uint8_t *p = data;
  for (size_t i = 0; i < length; i += 2) start += (uint32_t)p[i] << 8 | p[i + 1];
  return start;
}

static uint16_t finish(uint32_t s) {
  while (s >> 16) s = (s & 0xffff) + (s >> 16);
  return htons((uint16_t)~s);
}

static void prepare(struct frame *f, const uint8_t *to, const uint8_t *from, uint16_t port) {
  memset(f, 0, sizeof *f);
  memcpy(f->ether.ether_dhost, to, ETH_ALEN);
  memcpy(f->ether.ether_shost, from, ETH_ALEN);
  f->ether.ether_type = htons(ETHERTYPE_IP);
  f->ip.version = 4;
  f->ip.ihl = 5;
  f->ip.tot_len = htons(sizeof f->ip + sizeof f->tcp);
  f->ip.ttl = 64;
  f->ip.protocol = IPPROTO_TCP;
  f->tcp.source = htons(port);
  f->tcp.dest = htons(SMTP);
  f->tcp.doff = 5;
  f->tcp.syn = 1;
  f->tcp.window = htons(64240);
}

static void address(struct frame *f, uint32_t source, uint32_t destination, uint32_t sequence) {
  f->ip.saddr = htonl(source);
  f->ip.daddr = htonl(destination);
  f->ip.check = 0;
  f->ip.check = finish(sum(0, &f->ip, sizeof f->ip));
  f->tcp.seq = htonl(sequence);
  f->tcp.check = 0;
  uint32_t s = sum(IPPROTO_TCP + sizeof f->tcp, &f->ip.saddr, 8);
  f->tcp.check = finish(sum(s, &f->tcp, sizeof f->tcp));
}

/* a socket for raw frames; protocol 0 receives nothing */
static int open_raw(const char *interface, uint16_t protocol, uint8_t *own) {
  int fd = socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) die("socket");
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
  if (ioctl(fd, SIOCGIFHWADDR, &request) < 0) die(interface);
  if (own != NULL) memcpy(own, request.ifr_hwaddr.sa_data, ETH_ALEN);
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};
  to.sll_ifindex = (int)if_nametoindex(interface);
  if (protocol != 0) {
    /* TCP to our port; without IP options, as the kernel's RSTs are */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(struct frame, ip.protocol)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct frame, tcp.dest)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROBE_PORT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, sizeof(struct frame)),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) die("filter");
    int size = 8 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  if (bind(fd, (struct sockaddr *)&to, sizeof to) < 0) die("bind");
  return fd;
}

static void flood(int fd, struct frame template, int64_t length_ns, uint32_t destination, struct range from,
                  uint64_t every, uint32_t destination2, struct range from2) {
  static struct frame frames[BATCH];
  static struct iovec vectors[BATCH];
  static struct mmsghdr messages[BATCH];
  for (int i = 0; i < BATCH; i++) {
    frames[i] = template;
    vectors[i] = (struct iovec){&frames[i], sizeof frames[i]};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  uint64_t sent = 0;
  uint64_t second = 0;
  int64_t start = now_ns();
  int64_t now = start;
  while (now - start < length_ns) {
    for (int i = 0; i < BATCH; i++) {
      uint64_t n = sent + (uint64_t)i;
      if (every != 0 && n % every == 0)
        address(&frames[i], pick(from2, second++), destination2, (uint32_t)n);
      else
        address(&frames[i], pick(from, n), destination, (uint32_t)n);
    }
    for (int done = 0; done < BATCH;) {
      int count = sendmmsg(fd, messages + done, (unsigned)(BATCH - done), 0);
      if (count > 0)
        done += count;
      else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
        die("sendmmsg");
    }
    sent += BATCH;
    now = now_ns();
  }
  printf("{\"sent\":%llu,\"seconds\":%.6f}\n", (unsigned long long)sent, (double)(now - start) / SECOND_NS);
}

static void steady(int fd, struct frame template, int64_t number, double rate, uint32_t destination,
                   struct range from) {
  int64_t start = now_ns();
  for (int64_t i = 0; i < number; i++) {
    int64_t due = start + (int64_t)((double)i * SECOND_NS / rate);
    struct timespec until = {due / SECOND_NS, due % SECOND_NS};
    while (now_ns() < due) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    address(&template, pick(from, (uint64_t)i), destination, (uint32_t)i);
    while (send(fd, &template, sizeof template, 0) < 0)
      if (errno != ENOBUFS && errno != EINTR) die("send");
  }
  printf("{\"sent\":%lld,\"seconds\":%.6f}\n", (long long)number, (double)(now_ns() - start) / SECOND_NS);
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void probe(int fd, int answers, struct frame template, int64_t number, double rate, uint32_t destination,
                  struct range from) {
  int64_t *sent_at = calloc((size_t)number, sizeof *sent_at);
  int64_t *took = calloc((size_t)number, sizeof *took);
  if (sent_at == NULL || took == NULL) die("memory");
  int64_t sent = 0, answered = 0, last = 0;
  int64_t start = now_ns();
  /* never asleep: waking up would be measured, too */
  while (answered < number) {
    int64_t now = now_ns();
    if (sent == number) {
      if (now - last > PATIENCE_NS) break;
    } else if ((double)(now - start) * rate >= (double)sent * SECOND_NS) {
      address(&template, pick(from, (uint64_t)sent), destination, (uint32_t)sent);
      sent_at[sent] = last = now_ns();
      if (send(fd, &template, sizeof template, 0) < 0 && errno != ENOBUFS) die("send");
      sent++;
    }
    struct frame f;
    ssize_t length = recv(answers, &f, sizeof f, MSG_DONTWAIT);
    if (length < 0) {
      if (errno != EAGAIN && errno != EINTR) die("recv");
      continue;
    }
    now = now_ns();
    int64_t index = (int64_t)ntohl(f.tcp.ack_seq) - 1;
    if (length < (ssize_t)sizeof f || !f.tcp.rst || index < 0 || index >= sent || sent_at[index] == 0) continue;
    took[answered++] = now - sent_at[index];
    sent_at[index] = 0;
  }
  qsort(took, (size_t)answered, sizeof *took, compare);
  if (answered == 0) {
    printf("{\"sent\":%lld,\"lost\":%lld,\"p50\":null,\"p99\":null,\"max\":null}\n", (long long)sent, (long long)sent);
    return;
  }
  printf("{\"sent\":%lld,\"lost\":%lld,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}\n", (long long)sent,
         (long long)(sent - answered), took[answered / 2] / 1e3, took[answered * 99 / 100] / 1e3,
         took[answered - 1] / 1e3);
}

int main(int argc, char **argv) {
  if (argc < 8) usage();
  int is_probe = strcmp(argv[1], "probe") == 0;
  int is_steady = strcmp(argv[1], "steady") == 0;
  if (is_probe || is_steady ? argc != 9 : strcmp(argv[1], "flood") != 0 || (argc != 8 && argc != 12)) usage();
  unsigned b[ETH_ALEN];
  uint8_t to[ETH_ALEN], own[ETH_ALEN];
  if (sscanf(argv[3], "%2x:%2x:%2x:%2x:%2x:%2x", b, b + 1, b + 2, b + 3, b + 4, b + 5) != ETH_ALEN) usage();
  for (int i = 0; i < ETH_ALEN; i++) to[i] = (uint8_t)b[i];
  int fd = open_raw(argv[2], 0, own);
  struct frame template;
  prepare(&template, to, own, is_probe ? PROBE_PORT : FLOOD_PORT);
  if (is_probe) {
    int answers = open_raw(argv[2], ETHERTYPE_IP, NULL);
    probe(fd, answers, template, (int64_t)positive(argv[4]), positive(argv[5]), address_of(argv[6]),
          range_of(argv[7], argv[8]));
    return 0;
  }
  if (is_steady) {
    steady(fd, template, (int64_t)positive(argv[4]), positive(argv[5]), address_of(argv[6]),
           range_of(argv[7], argv[8]));
    return 0;
  }
  int64_t length_ns = (int64_t)(positive(argv[4]) * SECOND_NS);
  struct range from = range_of(argv[6], argv[7]);
  if (argc == 8)
    flood(fd, template, length_ns, address_of(argv[5]), from, 0, 0, from);
  else
    flood(fd, template, length_ns, address_of(argv[5]), from, (uint64_t)positive(argv[8]), address_of(argv[9]),
          range_of(argv[10], argv[11]));
  return 0;
}
