/*
 * What mxallowd is measured against: nolisting as a plain C program on libnetfilter_queue. One packet at a time is
 * received, judged and answered. No time limits, no log, IPv4 only.
 *
 *   reference QUEUE FAKE REAL [BASE COUNT]
 *     COUNT addresses from BASE on are whitelisted from the start. Prints "ready" when it is bound.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SMTP = 25, COPY = 128, QUEUE_LENGTH = 8192, RECEIVE_BUFFER = 8 << 20 };
/* room of the set, for 100,000 addresses and more */
enum { SLOT_BITS = 18, SLOTS = 1 << SLOT_BITS };

/* addresses in network order; 0 is a free slot */
static uint32_t slots[SLOTS];
static uint32_t used;
static uint32_t fake, real;

static void die(const char *what) {
  fprintf(stderr, "reference: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* the slot that holds an address, or that it would go into */
static uint32_t *slot_of(uint32_t address) {
  uint32_t i = address * 2654435769u >> (32 - SLOT_BITS);
  while (slots[i] != 0 && slots[i] != address) i = (i + 1) % SLOTS;
  return &slots[i];
}

static void add(uint32_t address) {
  uint32_t *slot = slot_of(address);
  if (*slot == address || used >= SLOTS / 4 * 3) return;
  *slot = address;
  used++;
}

static uint32_t judge(const uint8_t *data, size_t length) {
  struct iphdr ip;
  struct tcphdr tcp;
  if (length < sizeof ip) return NF_ACCEPT;
  memcpy(&ip, data, sizeof ip);
  size_t header = ip.ihl * 4u;
  if (ip.version != 4 || ip.protocol != IPPROTO_TCP || header < sizeof ip || length < header + sizeof tcp)
    return NF_ACCEPT;
  memcpy(&tcp, data + header, sizeof tcp);
  if (!tcp.syn || tcp.ack || tcp.dest != htons(SMTP)) return NF_ACCEPT;
  if (ip.daddr == fake) {
    add(ip.saddr);
    return NF_ACCEPT;
  }
  if (ip.daddr == real) return *slot_of(ip.saddr) == ip.saddr ? NF_ACCEPT : NF_DROP;
  return NF_ACCEPT;
}

static int on_packet(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *packet, void *context) {
  (void)message;
  (void)context;
  struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(packet);
  if (header == NULL) return 0;
  unsigned char *data;
  int length = nfq_get_payload(packet, &data);
  uint32_t verdict = length < 0 ? NF_ACCEPT : judge(data, (size_t)length);
  return nfq_set_verdict(queue, ntohl(header->packet_id), verdict, 0, NULL);
}

int main(int argc, char **argv) {
  if ((argc != 4 && argc != 6) || inet_pton(AF_INET, argv[2], &fake) != 1 || inet_pton(AF_INET, argv[3], &real) != 1) {
    fprintf(stderr, "usage: reference QUEUE FAKE REAL [BASE COUNT]\n");
    return 2;
  }
  if (argc == 6) {
    uint32_t base = ntohl(inet_addr(argv[4]));
    for (uint32_t i = 0; i < strtoul(argv[5], NULL, 10); i++) add(htonl(base + i));
  }

  struct nfq_handle *handle = nfq_open();
  if (handle == NULL) die("nfq_open");
  int fd = nfq_fd(handle);
  int size = RECEIVE_BUFFER, on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0 &&
      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0)
    die("receive buffer");
  if (setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on) < 0) die("NETLINK_NO_ENOBUFS");
  struct nfq_q_handle *queue = nfq_create_queue(handle, (uint16_t)atoi(argv[1]), on_packet, NULL);
  if (queue == NULL) die("nfq_create_queue");
  if (nfq_set_mode(queue, NFQNL_COPY_PACKET, COPY) < 0) die("nfq_set_mode");
  if (nfq_set_queue_maxlen(queue, QUEUE_LENGTH) < 0) die("nfq_set_queue_maxlen");
  puts("ready");
  fflush(stdout);

  static char buffer[1 << 16] __attribute__((aligned(8)));
  for (;;) {
    ssize_t length = recv(fd, buffer, sizeof buffer, 0);
    if (length >= 0)
      nfq_handle_packet(handle, buffer, (int)length);
    else if (errno != EINTR)
      die("recv");
  }
}
