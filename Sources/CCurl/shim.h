// libcurl, loaded when the first webhook needs it and never linked: a worker without it serves, and
// the program needs no archive of it. Here is a table of the functions that are used, and those
// calls that take varargs, which Swift has not; static, as a system library has no sources.
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

struct curl_functions {
  CURLcode (*global_init)(long);
  curl_version_info_data *(*version_info)(CURLversion);
  CURL *(*easy_init)(void);
  CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
  CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
  void (*easy_cleanup)(CURL *);
  const char *(*easy_strerror)(CURLcode);
  CURLM *(*multi_init)(void);
  CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
  CURLMcode (*multi_add_handle)(CURLM *, CURL *);
  CURLMcode (*multi_remove_handle)(CURLM *, CURL *);
  CURLMcode (*multi_socket_action)(CURLM *, curl_socket_t, int, int *);
  CURLMsg *(*multi_info_read)(CURLM *, int *);
  CURLMcode (*multi_cleanup)(CURLM *);
  struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
  void (*slist_free_all)(struct curl_slist *);
};

// Loads the library and finds its functions; NULL, or why not. The library stays. Its own symbols
// come before the program's: it has an OpenSSL of its own.
static inline const char *curl_load(struct curl_functions *table, const char *file) {
  void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND | RTLD_NODELETE);
  if (library == NULL) return dlerror();
  const struct {
    const char *name;
    size_t at;
  } entries[] = {
#define CURL_ENTRY(name) {"curl_" #name, offsetof(struct curl_functions, name)}
      CURL_ENTRY(global_init),         CURL_ENTRY(version_info),
      CURL_ENTRY(easy_init),           CURL_ENTRY(easy_setopt),
      CURL_ENTRY(easy_getinfo),        CURL_ENTRY(easy_cleanup),
      CURL_ENTRY(easy_strerror),
      CURL_ENTRY(multi_init),          CURL_ENTRY(multi_setopt),
      CURL_ENTRY(multi_add_handle),    CURL_ENTRY(multi_remove_handle),
      CURL_ENTRY(multi_socket_action), CURL_ENTRY(multi_info_read),
      CURL_ENTRY(multi_cleanup),       CURL_ENTRY(slist_append),
      CURL_ENTRY(slist_free_all),
#undef CURL_ENTRY
  };
  for (size_t at = 0; at < sizeof entries / sizeof *entries; at++) {
    void *found = dlsym(library, entries[at].name);
    if (found == NULL) return dlerror();
    *(void **)((char *)table + entries[at].at) = found;
  }
  return NULL;
}

static inline CURLcode curl_set_number(
    const struct curl_functions *table, CURL *easy, CURLoption option, long value) {
  return table->easy_setopt(easy, option, value);
}

static inline CURLcode curl_set_pointer(
    const struct curl_functions *table, CURL *easy, CURLoption option, const void *value) {
  return table->easy_setopt(easy, option, value);
}

// The bytes are copied.
static inline CURLcode curl_set_body(
    const struct curl_functions *table, CURL *easy, const void *bytes, int64_t count) {
  CURLcode code = table->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
  return code != CURLE_OK ? code : table->easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, bytes);
}

typedef size_t (*curl_bytes_taken)(char *, size_t, size_t, void *);

static inline CURLcode curl_set_callbacks(
    const struct curl_functions *table, CURL *easy, curl_bytes_taken header, curl_bytes_taken body,
    curl_opensocket_callback open, void *owner) {
  CURLcode codes[] = {
      table->easy_setopt(easy, CURLOPT_HEADERFUNCTION, header),
      table->easy_setopt(easy, CURLOPT_HEADERDATA, owner),
      table->easy_setopt(easy, CURLOPT_WRITEFUNCTION, body),
      table->easy_setopt(easy, CURLOPT_WRITEDATA, owner),
      table->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open),
      table->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, owner),
      table->easy_setopt(easy, CURLOPT_PRIVATE, owner),
  };
  for (size_t at = 0; at < sizeof codes / sizeof *codes; at++)
    if (codes[at] != CURLE_OK) return codes[at];
  return CURLE_OK;
}

static inline CURLMcode curl_set_multi_callbacks(
    const struct curl_functions *table, CURLM *multi, curl_socket_callback socket,
    curl_multi_timer_callback timer, void *owner) {
  CURLMcode codes[] = {
      table->multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket),
      table->multi_setopt(multi, CURLMOPT_SOCKETDATA, owner),
      table->multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer),
      table->multi_setopt(multi, CURLMOPT_TIMERDATA, owner),
  };
  for (size_t at = 0; at < sizeof codes / sizeof *codes; at++)
    if (codes[at] != CURLM_OK) return codes[at];
  return CURLM_OK;
}

static inline CURLMcode curl_set_multi_number(
    const struct curl_functions *table, CURLM *multi, CURLMoption option, long value) {
  return table->multi_setopt(multi, option, value);
}

static inline long curl_number(const struct curl_functions *table, CURL *easy, CURLINFO info) {
  long value = 0;
  return table->easy_getinfo(easy, info, &value) == CURLE_OK ? value : 0;
}

static inline int64_t curl_retry_after_seconds(const struct curl_functions *table, CURL *easy) {
  curl_off_t value = 0;
  return table->easy_getinfo(easy, CURLINFO_RETRY_AFTER, &value) == CURLE_OK ? value : 0;
}

static inline void *curl_owner(const struct curl_functions *table, CURL *easy) {
  char *owner = NULL;
  return table->easy_getinfo(easy, CURLINFO_PRIVATE, &owner) == CURLE_OK ? owner : NULL;
}

// The next transfer that is over, and its result; NULL if there is none.
static inline CURL *curl_next_done(
    const struct curl_functions *table, CURLM *multi, CURLcode *result) {
  int left = 0;
  CURLMsg *message;
  while ((message = table->multi_info_read(multi, &left)) != NULL) {
    if (message->msg != CURLMSG_DONE) continue;
    *result = message->data.result;
    return message->easy_handle;
  }
  return NULL;
}

static inline CURL *curl_make_easy(const struct curl_functions *table) {
  return table->easy_init();
}
static inline void curl_free_easy(const struct curl_functions *table, CURL *easy) {
  table->easy_cleanup(easy);
}
static inline CURLM *curl_make_multi(const struct curl_functions *table) {
  return table->multi_init();
}
static inline void curl_free_multi(const struct curl_functions *table, CURLM *multi) {
  table->multi_cleanup(multi);
}
static inline CURLMcode curl_add(const struct curl_functions *table, CURLM *multi, CURL *easy) {
  return table->multi_add_handle(multi, easy);
}
static inline CURLMcode curl_remove(const struct curl_functions *table, CURLM *multi, CURL *easy) {
  return table->multi_remove_handle(multi, easy);
}
static inline CURLMcode curl_socket_ready(
    const struct curl_functions *table, CURLM *multi, curl_socket_t descriptor, int ready) {
  int running = 0;
  return table->multi_socket_action(multi, descriptor, ready, &running);
}

// Once for the process, under the caller's lock.
static inline CURLcode curl_begin(const struct curl_functions *table) {
  return table->global_init(CURL_GLOBAL_ALL);
}
static inline const curl_version_info_data *curl_version_of(const struct curl_functions *table) {
  return table->version_info(CURLVERSION_NOW);
}
static inline const char *curl_text(const struct curl_functions *table, CURLcode code) {
  return table->easy_strerror(code);
}
static inline struct curl_slist *curl_list_with(
    const struct curl_functions *table, struct curl_slist *list, const char *text) {
  return table->slist_append(list, text);
}
static inline void curl_free_list(const struct curl_functions *table, struct curl_slist *list) {
  table->slist_free_all(list);
}

static inline const void *curl_address_bytes(const struct curl_sockaddr *address) {
  return &address->addr;
}

enum { curl_auth_basic = CURLAUTH_BASIC };
