// Owns: the values that a worker can be started with, and their defaults. Any thread: plain values.
// Must not know where a value came from; SettingsParse.swift and SettingsTable.swift do.

package import Loop
package import RedisConnection
package import SessionModel

/// A host and a port as they were given; port 0 stands for any free one.
package struct HostPort: Sendable, Hashable, CustomStringConvertible {
  /// A name or a number; an IPv6 number stands here without its brackets.
  package var host: String
  package var port: UInt16

  package init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  package var address: Address { .tcp(host: host, port: port) }
  package var description: String { address.description }
}

/// Which device ids a worker accepts.
package enum DeviceIDs: String, Sendable, CaseIterable {
  /// Every id that the protocol allows.
  case any
  /// Only UUIDs; every other id is a bad request.
  case uuid
}

/// When the private redis-server makes its writes safe against a crash of the machine.
package enum EmbeddedFsync: String, Sendable, CaseIterable {
  /// Before each reply: nothing acknowledged is ever lost.
  case always
  /// Once a second: faster, and a crash loses up to that much, now and then two seconds.
  case everysec
}

/// All settings of a worker.
package struct Settings: Sendable, Equatable {
  // MARK: Server

  package var listen = HostPort(host: "127.0.0.1", port: 5282)
  package var admin = HostPort(host: "127.0.0.1", port: 5283)
  /// The principals that may use the page; empty for any that there is.
  package var adminAuth: [String] = []
  /// Names by which browsers reach the admin port.
  package var adminHosts: [String] = []
  /// Where callers speak HTTP; without one they do not.
  package var http: HostPort?
  /// The origins whose pages may call by HTTP, as browsers write them.
  package var httpOrigins: [String] = []
  /// Event loops, each a thread; 0 stands for one per core.
  package var threads = 0
  package var requestTimeoutMs: Int64 = 500
  /// The file of principals; without one every request is allowed.
  package var authFile: String?
  /// The file of the keys by which tokens are checked; without one none are taken.
  package var jwtKeysFile: String?
  /// The file of the keys that sign tickets; nil: the fleet makes a key, and Redis keeps it.
  package var ticketKeysFile: String?
  /// The claims of tokens that are read.
  package var jwtMap = TokenMap()
  /// How much each user of tokens may ask of a worker.
  package var jwtLimits = TokenLimits()
  /// The audiences of which a token has to name one; empty for any.
  package var jwtAudiences: [String] = []
  /// The issuers of which one has to have made a token; empty for any.
  package var jwtIssuers: [String] = []
  /// The file of the keys by which values are sealed; without one none is.
  package var sealKeysFile: String?
  /// The files by which callers speak TLS; without a certificate they do not.
  package var tls = TLSFiles()
  /// Whether other machines may call without `authFile`.
  package var isInsecure = false
  /// By when a connection has to say who it is; 0 is never.
  package var authTimeoutMs: Int64 = 10_000
  /// Whether each connection begins with a header by which a proxy names its peer.
  package var takesProxyHeader = false
  /// For how long connections are still accepted after the signal to stop.
  package var drainDelayMs: Int64 = 0
  /// How long what is in flight may take to finish after that.
  package var drainGraceMs: Int64 = 5_000

  // MARK: Redis

  /// Without one the worker runs a private redis-server; the URL may hold a password.
  package var redisURL: String?
  /// The files for a Redis that is reached by TLS.
  package var redisTLS = TLSFiles()
  /// The file of Redis' password, read at each connect.
  package var redisPasswordFile: String?
  /// The user at the sentinels, and the file of the password there.
  package var sentinelUser: String?
  package var sentinelPasswordFile: String?
  /// How many replicas have to have a change before it is OK.
  package var replicaAcks = 0
  package var dataDirectory = "latchkey-data"
  package var embeddedFsync = EmbeddedFsync.always
  /// The prefix of every key in Redis.
  package var namespace = "lk"
  /// Whether the worker may change the configuration of a Redis that is not its own.
  package var configureRedis = false
  /// How scripts are called.
  package var scriptWay = ScriptWay.auto
  /// The most requests that one script call carries.
  package var batchMax = 64

  // MARK: Locks

  package var lockTTLms: Int64 = 86_400_000
  /// The agents whose locks have a TTL of their own.
  package var agentTTLms: [String: Int64] = [:]
  package var deviceIDs = DeviceIDs.any
  /// How long the reply to a request with `req=` is kept.
  package var reqKeepMs: Int64 = 600_000
  /// How often every partition is reaped, whatever hints came.
  package var sweepMs: Int64 = 5_000

  // MARK: Sessions

  package var clocks = SessionClocks()
  /// The most live sessions of a device.
  package var sessionsMax = 50
  /// The most live sessions in all; 0 is no limit.
  package var liveMax = 0
  /// The named policies.
  package var policies: [String: SessionPolicy] = [:]
  /// The most chats of a session.
  package var chatsMax = 20
  /// The most messages of a chat; the oldest go.
  package var messagesMax = 1_000
  /// How long a profile is kept after its latest write.
  package var profileKeepMs: Int64 = 7_776_000_000
  /// The most documents of a session.
  package var documentsMax = 10_000
  /// The most bytes of what is stored in one piece: a field, a message, a document, a chat's
  /// configuration.
  package var valueBytesMax = 256 << 10
  /// The most fields of a session.
  package var fieldsMax = 128
  /// The most live sessions that are linked to one user.
  package var userSessionsMax = 10
  /// The most bytes of a session as JSON, which EXPORT gives and IMPORT takes.
  package var recordBytesMax = 16 << 20
  /// The most bytes of the documents that one TAKE gives: the largest value has room.
  package var documentsReplyBytesMax: Int { max(16 << 20, valueBytesMax) }
  /// The longest line of IMPORT: what EXPORT gave has to fit beside the verb and its options, a
  /// token and a request id among them.
  package var importLineBytesMax: Int { recordBytesMax + 1_024 }
  /// How many IMPORT lines over `lineBytesMax` each thread receives at once.
  package var longLinesMax = 4
  /// The most links of a session.
  package var linksMax = 128
  /// The most shares of a session.
  package var sharesMax = 50
  /// The most callers that wait for one device.
  package var waitingMax = 10_000

  // MARK: Events

  /// The most events that are kept per partition once all groups have acknowledged them.
  package var eventsMax = 4_000
  package var eventBytesMax = 4 << 20
  package var groupKeepMs: Int64 = 604_800_000
  package var eventsAgeMs: Int64 = 604_800_000
  /// After how long an event that was not acknowledged goes to another consumer of its group.
  package var ackTimeoutMs: Int64 = 60_000
  /// Whether webhooks may reach private addresses.
  package var allowsPrivateHooks = false
  /// Whether they may reach this machine: where --listen is reached from this machine only.
  package var allowsLoopbackHooks = false
  /// The authorities of the certificates of webhooks' receivers; nil: those of the system.
  package var hookAuthorities: String?
  /// By when a webhook's receiver has to answer.
  package var hookTimeoutMs: Int64 = 10_000
  /// The most events of a webhook that are sent at once.
  package var hookRequestsMax = 32

  // MARK: Limits

  package var lineBytesMax = 1_048_576
  /// The most unanswered requests of one connection.
  package var pipelineMax = 1_024
  /// The most bytes of unread replies of one connection.
  package var replyBytesMax = 1_048_576
  /// The most bytes that are kept for all connections, after which each may keep only a little.
  package var bufferedBytesMax = 256 << 20
  package var connectionsMax = 20_000
  /// The most connections to the admin port.
  package var adminConnectionsMax = 64
  /// How long a connection to the admin port may take for a request and its answer.
  package var adminTimeoutMs: Int64 = 10_000
  /// The most connections from one address.
  package var connectionsPerAddressMax = 16_000
  /// The most requests of all connections that are under way.
  package var requestsMax = 65_536
  /// When a connection is closed whose line has begun and does not end; 0 is never.
  package var lineTimeoutMs: Int64 = 30_000
  /// When a connection is cut off whose output does not move; 0 is never.
  package var unreadTimeoutMs: Int64 = 30_000
  /// When a connection without requests is closed; 0 is never.
  package var idleTimeoutMs: Int64 = 600_000

  // MARK: Logging

  package var logLevel = LogLevel.info
  package var logFormat = LogFormat.logfmt
  /// The file of the audit, `-` for standard error; without one there is none.
  package var auditFile: String?

  // MARK: Unknown names

  /// The names of LATCHKEY_ variables in the environment that nothing reads, sorted.
  package var unknownEnvironment: [String] = []

  package init() {}
}

extension Settings {
  /// Whether callers speak TLS.
  package var takesTLS: Bool { tls.certificate != nil }

  /// Whether callers have to say who they are.
  package var asksWhoCalls: Bool { authFile != nil || jwtKeysFile != nil }

  /// Refuses settings of files that have no effect.
  func checkFiles() throws(SettingError) {
    let isOfTokens =
      jwtMap != TokenMap() || jwtLimits != TokenLimits() || jwtAudiences + jwtIssuers != []
    guard jwtKeysFile != nil || !isOfTokens else {
      throw SettingError("--jwt-map, --jwt-limits, --jwt-aud and --jwt-iss need --jwt-keys")
    }
    guard httpOrigins.isEmpty || http != nil else {
      throw SettingError("--http-origins needs --http: pages call by HTTP only")
    }
    guard adminAuth.isEmpty || authFile != nil else {
      throw SettingError("--admin-auth needs --auth: it names principals of that file")
    }
    guard (tls.certificate == nil) == (tls.key == nil) else {
      throw SettingError("--tls-cert and --tls-key are given together or not at all")
    }
    guard tls.authorities == nil || takesTLS else {
      throw SettingError("--tls-client-ca needs --tls-cert and --tls-key")
    }
    guard (redisTLS.certificate == nil) == (redisTLS.key == nil) else {
      throw SettingError("--redis-cert and --redis-key are given together or not at all")
    }
    guard redisURL != nil || redisPasswordFile == nil else {
      throw SettingError("--redis-password-file needs --redis: a private redis-server has none")
    }
    guard redisURL != nil || replicaAcks == 0 else {
      throw SettingError("--replica-acks needs --redis: a private redis-server has no replicas")
    }
    guard sentinelUser == nil && sentinelPasswordFile == nil || usesSentinel else {
      throw SettingError(
        "--sentinel-user and --sentinel-password-file are for sentinels: give --redis "
          + "redis-sentinel://HOST:26379,HOST:26379/NAME")
    }
    guard sentinelUser == nil || sentinelPasswordFile != nil else {
      throw SettingError("--sentinel-user needs --sentinel-password-file")
    }
    guard redisTLS != TLSFiles(), !usesTLSForRedis else { return }
    throw SettingError(
      "--redis-ca, --redis-cert and --redis-key are for TLS: give --redis rediss://HOST:PORT")
  }

  private var redisEndpoint: RedisEndpoint? {
    redisURL.flatMap { url in try? RedisEndpoint(url: url) }
  }

  private var usesTLSForRedis: Bool { redisEndpoint?.usesTLS == true }

  /// How many sentinels the URL names.
  package var sentinels: Int {
    guard case .sentinel(let addresses, _)? = redisEndpoint?.topology else { return 0 }
    return addresses.count
  }

  private var usesSentinel: Bool { sentinels > 0 }

  /// Makes sure that the longest line has room while no other connection needs any; `isGiven` says
  /// whether a setting was set.
  ///
  /// A line takes twice its length while it comes and is served, and others are to have as much. A
  /// default is raised; a setting that is too small is refused.
  package mutating func makeRoom(isGiven: (Setting) -> Bool) throws(SettingError) {
    func isSet(_ flag: String) -> Bool {
      Settings.table.contains { $0.flag == flag && isGiven($0) }
    }
    if isSet("--max-value") { try makeRoomForValues(isLineGiven: isSet("--max-line")) }
    let least = 4 * max(lineBytesMax, recordBytesMax)
    guard bufferedBytesMax < least else { return }
    guard isSet("--max-buffered") else {
      bufferedBytesMax = least
      return
    }
    throw SettingError(
      "--max-buffered has to be at least four times --max-line and --max-record, "
        + "\(SettingText.bytes(least)); it is \(SettingText.bytes(bufferedBytesMax))")
  }

  /// A line has to hold the largest value that was asked for, beside a verb, an address, options
  /// and escapes.
  private mutating func makeRoomForValues(isLineGiven: Bool) throws(SettingError) {
    let least = valueBytesMax + (64 << 10)
    guard lineBytesMax < least else { return }
    guard isLineGiven else {
      lineBytesMax = least
      return
    }
    throw SettingError(
      "--max-line has to be at least --max-value and 64KiB more, \(SettingText.bytes(least)); "
        + "it is \(SettingText.bytes(lineBytesMax))")
  }
}
