// Owns: the one table of settings, from which the command line, --help, the environment and
// docs/config.md come. Must not know how any of these look. Any thread: it never changes.

internal import Loop
internal import RedisConnection
internal import SessionModel

extension Settings {
  /// Every setting there is, in the order of the manual.
  package static let table: [Setting] =
    serverTable + redisTable + locksTable + clocksTable + sessionsTable + eventsTable + limitsTable
    + loggingTable

  private static let tenYearsMs: Int64 = 3_650 * 86_400_000

  private static let serverTable: [Setting] = [
    .hostPort(
      .init(
        "--listen", .server, default: "127.0.0.1:5282",
        "Where clients connect. The default is reached from this machine only."), \.listen),
    .hostPort(
      .init(
        "--admin", .server, default: "127.0.0.1:5283",
        "Where the page for people (/), /healthz, /readyz, /acceptz and /metrics are served by "
          + "HTTP."), \.admin),
    .texts(
      .init(
        "--admin-auth", .server, default: "",
        "A principal of --auth that may use the page, with its own rights; without it any that "
          + "there is may. Where other machines reach --admin there is no page without it."),
      "NAME", range: "a name of a principal", \.adminAuth),
    .texts(
      .init(
        "--admin-hosts", .server, default: "",
        "A name by which browsers reach --admin, beside localhost and addresses; requests for the "
          + "page by other names are refused."),
      "NAME", range: "a name of a host, without a port", \.adminHosts),
    .hostPortIfAny(
      .init(
        "--http", .server, default: "",
        "Where the same verbs are served by HTTP, for callers without sockets; with TLS where "
          + "--tls-cert is given. Off without it."), \.http),
    .origins(
      .init(
        "--http-origins", .server, default: "",
        "An origin whose pages may call by HTTP; null is that of pages from files. Requests of "
          + "other pages are refused."), \.httpOrigins),
    .count(
      .init(
        "--threads", .server, default: "0",
        "Event loops, each a thread with its own connection to Redis; 0 is one per core."),
      0...64, \.threads),
    .duration(
      .init(
        "--request-timeout", .server, default: "500ms",
        "By when each request has its reply. One that Redis did not answer in time is answered "
          + "with an error that says whether it may have been applied."),
      10...60_000, \.requestTimeoutMs),
    .file(
      .init(
        "--auth", .server, default: "",
        "The file that says who may call, and what each may do and see; SIGHUP has it read again. "
          + "'latchkey secret' makes its lines."), \.authFile),
    .file(
      .init(
        "--seal-keys", .server, default: "",
        "The file of the keys by which callers' values are sealed before they go to Redis: a line "
          + "ID:KEY each, KEY the Base64 of 32 random bytes. The first seals, all open. It is read "
          + "again on SIGHUP and when it changes."), \.sealKeysFile),
    .file(
      .init(
        "--jwt-keys", .server, default: "",
        "The keys of the tokens (JWT) that callers may send: a JWK set, or public keys or "
          + "certificates in PEM. The file is read again on SIGHUP and when it changes."),
      \.jwtKeysFile),
    .value(
      .init(
        "--jwt-map", .server, default: "user=sub",
        "The claims of a token that are read. Without rights= or devices=, or in a token without "
          + "that claim, it may read and write, and all devices."), "LIST",
      range: TokenMap.rangeText, \.jwtMap, read: { TokenMap($0) }),
    .value(
      .init(
        "--jwt-limits", .server, default: "",
        "How much each user of tokens may ask of a worker, as a line of --auth says it of a "
          + "principal."), "LIST",
      range: TokenLimits.rangeText, \.jwtLimits, read: { TokenLimits($0) }),
    .texts(
      .init(
        "--jwt-aud", .server, default: "",
        "The audience that a token has to name; without it tokens for any are taken."),
      "NAME", range: "a name as it stands in aud", \.jwtAudiences),
    .texts(
      .init(
        "--jwt-iss", .server, default: "",
        "The issuer that a token has to be of; without it tokens of any are taken."),
      "NAME", range: "a name as it stands in iss", \.jwtIssuers),
    .file(
      .init(
        "--ticket-keys", .server, default: "",
        "The keys that sign tickets, ID:BASE64 on each line: the first one signs, all of them "
          + "verify. The file is read again on SIGHUP and when it changes. Without it the workers "
          + "make a key and keep it in Redis."),
      \.ticketKeysFile),
    .file(
      .init(
        "--tls-cert", .server, default: "",
        "The worker's certificate (PEM), with those behind it that lead to its authority: callers "
          + "speak TLS 1.2 or 1.3 then. The files of TLS are read again on SIGHUP and when they "
          + "change; connections go on."), \.tls.certificate),
    .file(
      .init(
        "--tls-key", .server, default: "", "The private key of that, without a passphrase."),
      \.tls.key),
    .file(
      .init(
        "--tls-client-ca", .server, default: "",
        "The authorities (PEM) of callers' certificates; each caller needs one then."),
      \.tls.authorities),
    .toggle(
      .init(
        "--insecure", .server, default: "0",
        "Lets other machines call without --auth. Otherwise a worker without --auth listens on "
          + "this machine only."), \.isInsecure),
    .duration(
      .init(
        "--auth-timeout", .server, default: "10s",
        "By when a connection has to say AUTH, where --auth is given."),
      10...3_600_000, zeroMeans: "never", \.authTimeoutMs),
    .toggle(
      .init(
        "--proxy-protocol", .server, default: "0",
        "Each connection begins with the header of the PROXY protocol, version 1 or 2, which names "
          + "the caller's address. One without it is refused."), \.takesProxyHeader),
    .duration(
      .init(
        "--drain-delay", .server, default: "0",
        "How long connections are still taken after SIGTERM or SIGINT, while /readyz says 503, so "
          + "that a load balancer notices before connections are refused."),
      10...3_600_000, zeroMeans: "no delay", \.drainDelayMs),
    .duration(
      .init(
        "--drain-grace", .server, default: "5s",
        "How long callers may take to leave after that. Until shortly before its end they are "
          + "served, and then answered with ERR draining; connections that go on asking end so."),
      10...3_600_000, zeroMeans: "no grace", \.drainGraceMs),
  ]

  private static let redisTable: [Setting] = [
    .redisURL(
      .init(
        "--redis", .redis, default: "",
        "The Redis that holds everything. Without one, a private redis-server is started under "
          + "--data. Give a password by the environment: a command line is seen by others.",
        fallbackVariable: "REDIS_URL"), \.redisURL),
    .file(
      .init(
        "--redis-password-file", .redis, default: "",
        "The file whose first line is Redis' password, read at each connect; it goes before that "
          + "of the URL, where it can be left empty: redis://USER:@HOST."), \.redisPasswordFile),
    .value(
      .init(
        "--sentinel-user", .redis, default: "",
        "The user at the sentinels, whose login is not that of the URL; without it their default "
          + "user."),
      "NAME", range: "the name of a user", \.sentinelUser,
      read: { $0.isEmpty ? nil : .some($0) }),
    .file(
      .init(
        "--sentinel-password-file", .redis, default: "",
        "The file whose first line is the sentinels' password, read at each connect; without it "
          + "they are asked without a password."), \.sentinelPasswordFile),
    .file(
      .init(
        "--redis-ca", .redis, default: "",
        "The authorities (PEM) of which the certificate of a rediss:// server has to be; without "
          + "it those of the system. The files of TLS are read at each connect."),
      \.redisTLS.authorities),
    .file(
      .init(
        "--redis-cert", .redis, default: "",
        "The worker's certificate (PEM) for a Redis that wants one."), \.redisTLS.certificate),
    .file(
      .init(
        "--redis-key", .redis, default: "", "The private key of that, without a passphrase."),
      \.redisTLS.key),
    .count(
      .init(
        "--replica-acks", .redis, default: "0",
        "How many replicas have to have a change before it is OK; too few within a quarter of "
          + "--request-timeout, and it is ERR unknown_outcome. 0 awaits none."),
      0...16, \.replicaAcks),
    .value(
      .init(
        "--data", .redis, default: "latchkey-data",
        "The folder of the private redis-server: its socket, its log and its append-only file."),
      "DIR", range: "the path of a folder", \.dataDirectory,
      read: { $0.isEmpty ? nil : $0 }),
    .word(
      .init(
        "--embedded-fsync", .redis, default: "always",
        "When the private redis-server makes its writes safe: before each reply, or once a second, "
          + "which is faster and can lose the last two seconds."),
      "WHEN", EmbeddedFsync.allCases.map { ($0.rawValue, $0) }, \.embeddedFsync),
    .value(
      .init(
        "--namespace", .redis, default: "lk",
        "What every key begins with. Workers with different ones share a Redis and nothing else."),
      "NAME", range: "1 to 32 of A-Z a-z 0-9 _ -", \.namespace,
      read: { SettingText.isNamespace($0) ? $0 : nil }),
    .toggle(
      .init(
        "--configure-redis", .redis, default: "0",
        "Lets the worker set what it needs (keyspace notifications) in a Redis that is not its "
          + "own. Without it, the worker only warns of what is missing."), \.configureRedis),
    .word(
      .init(
        "--lua", .redis, default: "auto",
        "How scripts are called: as functions (FCALL), which cost Redis least, or each by its hash "
          + "(EVALSHA). By itself a worker uses functions where Redis has them (7.0 and newer) and "
          + "lets it."), "WAY", ScriptWay.allCases.map { ($0.rawValue, $0) }, \.scriptWay),
    .count(
      .init(
        "--batch", .redis, default: "64",
        "The most requests that go to Redis in one script call. More of them cost Redis less per "
          + "request and hold it up for longer."), 1...512, \.batchMax),
  ]

  private static let locksTable: [Setting] = [
    .duration(
      .init(
        "--lock-ttl", .locks, default: "24h",
        "How long a lock is held when neither the request nor --agent-ttl says so."),
      10...tenYearsMs, \.lockTTLms),
    .durationByName(
      .init(
        "--agent-ttl", .locks, default: "",
        "How long a lock of this agent is held when the request does not say so, as in "
          + "scheduling=1h."), 10...tenYearsMs, \.agentTTLms),
    .word(
      .init(
        "--device-ids", .locks, default: "any",
        "Which device ids are accepted: every one that the protocol allows, or UUIDs only."),
      "KIND", DeviceIDs.allCases.map { ($0.rawValue, $0) }, \.deviceIDs),
    .duration(
      .init(
        "--req-keep", .locks, default: "10m",
        "How long the reply to a request with req= is kept, so that a retry gets the same one."),
      1_000...604_800_000, \.reqKeepMs),
    .duration(
      .init(
        "--sweep", .locks, default: "5s",
        "How often every partition is reaped, whatever hints of deadlines came."),
      100...600_000, \.sweepMs),
  ]

  private static let clocksTable: [Setting] = SessionClock.allCases.map { clock in
    .duration(
      .init(
        "--\(clock.rawValue)", .sessions, default: clock.row.defaultText, clock.row.summary),
      SessionClock.allowedMs, zeroMeans: clock.row.canBeOff ? "off" : nil, \.clocks[clock])
  }

  private static let sessionsTable: [Setting] = [
    .count(
      .init("--max-sessions", .sessions, default: "50", "The most live sessions of a device."),
      1...10_000, \.sessionsMax),
    .count(
      .init(
        "--max-user-sessions", .sessions, default: "10",
        "The most live sessions that are linked to one user."),
      1...10_000, \.userSessionsMax),
    .count(
      .init(
        "--max-live", .sessions, default: "0",
        "The most live sessions in all, held against a sum that is at most 1 s old; 0 is no "
          + "limit."),
      0...1_000_000_000, \.liveMax),
    .policies(
      .init(
        "--policy", .sessions, default: "",
        "A policy, as in support:idle=5m,max-user-sessions=3,at-most=evict, which policy=support "
          + "gives a session: the lengths of its clocks and its limits, in place of the server's."),
      \.policies),
    .count(
      .init("--max-links", .sessions, default: "128", "The most links of a session."),
      1...1_000, \.linksMax),
    .count(
      .init(
        "--max-shares", .sessions, default: "50",
        "The most users with whom a session is shared at a time."),
      1...1_000, \.sharesMax),
    .count(
      .init(
        "--max-waiting", .sessions, default: "10000",
        "The most callers that wait for the turn, or for the lock, of one device."),
      1...10_000, \.waitingMax),
    .count(
      .init("--max-chats", .sessions, default: "20", "The most chats of a session."),
      1...1_000, \.chatsMax),
    .count(
      .init(
        "--max-messages", .sessions, default: "1000",
        "The most messages of a chat; the oldest go."),
      1...1_000_000, \.messagesMax),
    .duration(
      .init(
        "--profile-keep", .sessions, default: "90d",
        "How long the profile of a user, or of another link, is kept after its latest write."),
      1_000...tenYearsMs, \.profileKeepMs),
    .count(
      .init("--max-documents", .sessions, default: "10000", "The most documents of a session."),
      1...1_000_000, \.documentsMax),
    .bytes(
      .init(
        "--max-value", .sessions, default: "256KiB",
        "The most bytes of a field, a message or a document. --max-line has to be 64KiB more at "
          + "least, and its default is raised."),
      1_024...16_777_216, \.valueBytesMax),
    .count(
      .init("--max-fields", .sessions, default: "128", "The most fields of a session."),
      1...1_000, \.fieldsMax),
  ]

  private static let eventsTable: [Setting] = [
    .count(
      .init(
        "--events-max", .events, default: "4000",
        "The most events kept in each of the 256 partitions, beside those that a group in use has "
          + "not acknowledged; the oldest go."),
      100...1_000_000, \.eventsMax),
    .bytes(
      .init(
        "--events-max-bytes", .events, default: "4MiB",
        "The memory that the log of each partition may have. Below it the log waits for its "
          + "groups; at it devices with over a sixteenth of it get ERR quota, or the oldest "
          + "events go."),
      65_536...1_073_741_824, \.eventBytesMax),
    .duration(
      .init(
        "--group-keep", .events, default: "7d",
        "How long the log waits for a group of which no consumer asks for events."),
      1_000...tenYearsMs, \.groupKeepMs),
    .duration(
      .init(
        "--events-age", .events, default: "7d",
        "How long an event is kept at most that no group in use has yet to acknowledge."),
      1_000...tenYearsMs, \.eventsAgeMs),
    .duration(
      .init(
        "--ack-timeout", .events, default: "60s",
        "When an event that its consumer did not acknowledge goes to another one of the group."),
      100...86_400_000, \.ackTimeoutMs),
    .value(
      .init(
        "--hooks-private", .events, default: "no",
        "Whether webhooks may reach private addresses. Those of this machine are reached where "
          + "--listen is one of them."),
      "WORD", range: "yes or no", \.allowsPrivateHooks, read: { ["yes": true, "no": false][$0] }),
    .file(
      .init(
        "--hook-ca", .events, default: "",
        "The authorities (PEM) of which the certificates of webhooks' receivers have to be; "
          + "without it those of the system. The file is read at each connect."),
      \.hookAuthorities),
    .duration(
      .init(
        "--hook-timeout", .events, default: "10s",
        "By when a webhook's receiver has to answer."), 100...60_000, \.hookTimeoutMs),
    .count(
      .init(
        "--hook-requests", .events, default: "32",
        "How many events of a webhook a worker sends at once; of a device it is one."),
      1...256, \.hookRequestsMax),
  ]

  private static let limitsTable: [Setting] = [
    .bytes(
      .init(
        "--max-line", .limits, default: "1MiB",
        "The longest request. A longer one gets ERR too_large, and its connection goes on."),
      1_024...67_108_864, \.lineBytesMax),
    .bytes(
      .init(
        "--max-record", .limits, default: "16MiB",
        "The largest session of EXPORT and IMPORT, as JSON. A larger one gets ERR too_large."),
      1_024...268_435_456, \.recordBytesMax),
    .count(
      .init(
        "--max-imports", .limits, default: "4",
        "IMPORT lines over --max-line that each thread receives at once. A further one gets "
          + "ERR overloaded."),
      1...1_000, \.longLinesMax),
    .count(
      .init(
        "--max-pipeline", .limits, default: "1024",
        "Unanswered requests after which a connection is not read until replies have left."),
      1...1_000_000, \.pipelineMax),
    .bytes(
      .init(
        "--max-unread", .limits, default: "1MiB",
        "Bytes of replies that a client has not read after which its connection is not read."),
      1_024...1_073_741_824, \.replyBytesMax),
    .bytes(
      .init(
        "--max-buffered", .limits, default: "256MiB",
        "Bytes of requests and replies that are kept for all clients together, after which "
          + "none gets room for more than 4 KiB: what is longer gets ERR overloaded. At least four "
          + "times --max-line and --max-record, which raise the default."),
      1_048_576...68_719_476_736, \.bufferedBytesMax),
    .count(
      .init(
        "--max-connections", .limits, default: "20000",
        "The most clients at once. A further one gets ERR overloaded and is closed. Fewer where "
          + "the system does not allow as many open files: the log says so at the start."),
      1...1_000_000, \.connectionsMax),
    .count(
      .init(
        "--max-admin-connections", .limits, default: "64",
        "The most connections to --admin at once. For a further one, that which has the least time "
          + "left is closed."),
      4...10_000, \.adminConnectionsMax),
    .duration(
      .init(
        "--admin-timeout", .limits, default: "10s",
        "After how long a connection to --admin is closed whose request is not complete, or not "
          + "answered, and how long it may be silent between two requests."),
      1_000...600_000, \.adminTimeoutMs),
    .count(
      .init(
        "--max-connections-per-address", .limits, default: "16000",
        "The most clients at once from one IP address, or from one /64 of IPv6. Behind a load "
          + "balancer they all have its address."),
      1...1_000_000, \.connectionsPerAddressMax),
    .count(
      .init(
        "--max-requests", .limits, default: "65536",
        "The most requests of all clients that are under way at once, in equal shares for each "
          + "thread. A further one gets ERR overloaded, and nothing is done."),
      1...10_000_000, \.requestsMax),
    .duration(
      .init(
        "--line-timeout", .limits, default: "30s",
        "After how long a connection is closed that has begun a line and does not end it."),
      10...3_600_000, zeroMeans: "never", \.lineTimeoutMs),
    .duration(
      .init(
        "--unread-timeout", .limits, default: "30s",
        "After how long a connection is cut off that reads nothing of the replies waiting for it."),
      10...3_600_000, zeroMeans: "never", \.unreadTimeoutMs),
    .duration(
      .init(
        "--idle-timeout", .limits, default: "10m",
        "After how long a connection without requests is closed."),
      10...2_592_000_000, zeroMeans: "never", \.idleTimeoutMs),
  ]

  private static let loggingTable: [Setting] = [
    .word(
      .init(
        "--log-level", .logging, default: "info",
        "The least important lines that are written to standard error. No device is named above "
          + "debug."), "LEVEL",
      [("debug", .debug), ("info", .info), ("warn", .warn), ("error", .error)], \.logLevel),
    .word(
      .init(
        "--log-format", .logging, default: "logfmt",
        "How a line of the log is written: name=value, or one JSON object."), "FORMAT",
      LogFormat.allCases.map { ($0.rawValue, $0) }, \.logFormat),
    .file(
      .init(
        "--audit", .logging, default: "",
        "Where a line is written for each refused or privileged request: who, verb, device and "
          + "outcome, no content. A - is standard error. SIGHUP has the file opened anew."),
      \.auditFile),
  ]
}
