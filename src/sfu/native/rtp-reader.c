/*
 * Sockets on the loopback address that are read many packets at a time, each with the moment at which it came: what Node's sockets, which
 * call back for each, cannot.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <node_api.h>

/* At most so many packets a reading, of so many bytes each: more than an Ethernet frame carries. */
enum { PACKETS = 64, SLOT = 2048 };

/* How long the probe may take, ms; within one host it is there at once. */
enum { PROBE_MS = 500 };

/* Of one packet. `bytes` is 0 where it was too long or came from another host's address. */
typedef struct {
  double age_ms;
  uint32_t bytes;
  uint32_t port;
} Head;

/* What a reading writes: heads, how many packets the system has dropped in all, and a slot for each packet. */
enum { DROPS_AT = PACKETS * sizeof(Head), SLOTS_AT = SLOT, READING = SLOTS_AT + PACKETS * SLOT };

typedef struct {
  int fd;
  uint32_t drops;
  struct mmsghdr messages[PACKETS];
  struct iovec parts[PACKETS];
  struct sockaddr_in sources[PACKETS];
  union {
    struct cmsghdr alignment;
    uint8_t bytes[CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t))];
  } notes[PACKETS];
} Reader;

static napi_value fail(napi_env env, const char *what) {
  char text[160];
  snprintf(text, sizeof text, "Expected %s, got %s", what, strerror(errno));
  napi_throw_error(env, NULL, text);
  return NULL;
}

static void end(Reader *reader) {
  if (reader->fd >= 0) close(reader->fd);
  reader->fd = -1;
}

static void forget(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  end(data);
  free(data);
}

/* The reader among the arguments, of which there must be so many; NULL once it has thrown. */
static Reader *reader_of(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  size_t got = count;
  void *reader = NULL;
  if (napi_get_cb_info(env, info, &got, arguments, NULL, NULL) == napi_ok && got == count) napi_get_value_external(env, arguments[0], &reader);
  if (reader == NULL) napi_throw_type_error(env, NULL, "Expected a reader");
  return reader;
}

/* Whether a packet that is sent to it comes, which a firewall may prevent. */
static bool hears_itself(int fd, const struct sockaddr_in *self) {
  static const char probe[] = "probe";
  char got[sizeof probe];
  if (sendto(fd, probe, sizeof probe, 0, (const void *)self, sizeof *self) != sizeof probe) return false;
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  if (poll(&readable, 1, PROBE_MS) < 1) {
    errno = ETIMEDOUT;
    return false;
  }
  return recv(fd, got, sizeof got, 0) == sizeof got;
}

static void set(napi_env env, napi_value object, const char *name, uint32_t value) {
  napi_value number;
  napi_create_uint32(env, value, &number);
  napi_set_named_property(env, object, name, number);
}

/* `open(bytes)`: a reader, its port, and how many bytes, as the system counts them, may wait in it: `bytes` where the system allows it. */
static napi_value call_open(napi_env env, napi_callback_info info) {
  size_t got = 1;
  napi_value argument, opened, external;
  int32_t bytes;
  if (napi_get_cb_info(env, info, &got, &argument, NULL, NULL) != napi_ok || got != 1 || napi_get_value_int32(env, argument, &bytes) != napi_ok ||
      bytes < 1) {
    napi_throw_type_error(env, NULL, "Expected a number of bytes");
    return NULL;
  }
  Reader *reader = calloc(1, sizeof *reader);
  if (reader == NULL) return fail(env, "memory for a reader");
  reader->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  /* The system doubles what it is asked for, to make room for its own. */
  const int asked = bytes / 2;
  int granted = 0;
  struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t self_bytes = sizeof self, granted_bytes = sizeof granted;
  if (reader->fd < 0 || bind(reader->fd, (void *)&self, sizeof self) < 0 || getsockname(reader->fd, (void *)&self, &self_bytes) < 0 ||
      setsockopt(reader->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0 ||
      setsockopt(reader->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on) < 0 ||
      /* Beyond net.core.rmem_max, which root alone may. */
      (setsockopt(reader->fd, SOL_SOCKET, SO_RCVBUFFORCE, &asked, sizeof asked) < 0 &&
       setsockopt(reader->fd, SOL_SOCKET, SO_RCVBUF, &asked, sizeof asked) < 0) ||
      getsockopt(reader->fd, SOL_SOCKET, SO_RCVBUF, &granted, &granted_bytes) < 0 || !hears_itself(reader->fd, &self)) {
    fail(env, "a socket on the loopback address");
    forget(env, reader, NULL);
    return NULL;
  }
  napi_create_object(env, &opened);
  if (napi_create_external(env, reader, forget, NULL, &external) != napi_ok) {
    forget(env, reader, NULL);
    return NULL;
  }
  napi_set_named_property(env, opened, "reader", external);
  set(env, opened, "port", ntohs(self.sin_port));
  set(env, opened, "bytes", (uint32_t)granted);
  return opened;
}

static double ms_since(const struct timespec *then, const struct timespec *now) {
  return (double)(now->tv_sec - then->tv_sec) * 1e3 + (double)(now->tv_nsec - then->tv_nsec) / 1e6;
}

/* Notes of the system on a packet: when it came, and how many it had dropped before. */
static double age_of(Reader *reader, struct msghdr *message, const struct timespec *now) {
  double age_ms = 0;
  for (struct cmsghdr *note = CMSG_FIRSTHDR(message); note != NULL; note = CMSG_NXTHDR(message, note)) {
    if (note->cmsg_level != SOL_SOCKET) continue;
    if (note->cmsg_type == SCM_TIMESTAMPNS) {
      struct timespec then;
      memcpy(&then, CMSG_DATA(note), sizeof then);
      age_ms = ms_since(&then, now);
    } else if (note->cmsg_type == SO_RXQ_OVFL) {
      memcpy(&reader->drops, CMSG_DATA(note), sizeof reader->drops);
    }
  }
  /* The system's clock may have been set meanwhile. */
  return age_ms > 0 ? age_ms : 0;
}

/* `read(reader, buffer)`: fills an ArrayBuffer of READING bytes with what waits, and returns how many packets that are. */
static napi_value call_read(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result;
  Reader *reader = reader_of(env, info, 2, arguments);
  if (reader == NULL) return NULL;
  uint8_t *base;
  size_t bytes;
  if (napi_get_arraybuffer_info(env, arguments[1], (void **)&base, &bytes) != napi_ok || bytes != READING) {
    napi_throw_type_error(env, NULL, "Expected an ArrayBuffer of the bytes of a reading");
    return NULL;
  }
  for (int i = 0; i < PACKETS; i += 1) {
    reader->parts[i] = (struct iovec){.iov_base = base + SLOTS_AT + i * SLOT, .iov_len = SLOT};
    reader->messages[i].msg_hdr = (struct msghdr){
      .msg_name = &reader->sources[i],
      .msg_namelen = sizeof reader->sources[i],
      .msg_iov = &reader->parts[i],
      .msg_iovlen = 1,
      .msg_control = &reader->notes[i],
      .msg_controllen = sizeof reader->notes[i],
    };
  }
  int count = recvmmsg(reader->fd, reader->messages, PACKETS, MSG_DONTWAIT, NULL);
  if (count < 0) {
    /* Of a system that is short of memory, the next reading asks again. */
    if (errno != EAGAIN && errno != EINTR && errno != ENOMEM && errno != ENOBUFS) return fail(env, "to read packets");
    count = 0;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  Head *heads = (Head *)base;
  for (int i = 0; i < count; i += 1) {
    struct msghdr *message = &reader->messages[i].msg_hdr;
    const bool good = (message->msg_flags & MSG_TRUNC) == 0 && reader->sources[i].sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    heads[i] = (Head){
      .age_ms = age_of(reader, message, &now),
      .bytes = good ? reader->messages[i].msg_len : 0,
      .port = ntohs(reader->sources[i].sin_port),
    };
  }
  memcpy(base + DROPS_AT, &reader->drops, sizeof reader->drops);
  napi_create_int32(env, count, &result);
  return result;
}

/* `close(reader)`: what waits is lost. A second time does nothing. */
static napi_value call_close(napi_env env, napi_callback_info info) {
  napi_value argument;
  Reader *reader = reader_of(env, info, 1, &argument);
  if (reader != NULL) end(reader);
  return NULL;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {{"open", call_open}, {"read", call_read}, {"close", call_close}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i += 1) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
