// Owns: the dialogue with Redis before a connection serves, and how the answers are read. On the
// connection's thread. The greeting shows that a Redis runs our scripts and takes writes; without
// that the connection is 'not ready'.

package import Loop
package import Scripts
package import SessionModel

/// The settings of a connection, and the scripts that it loads when it connects.
package struct RedisSetup: Sendable {
  package var endpoint: RedisEndpoint
  package var keyspace: Keyspace
  package var constants: ScriptConstants
  /// How long a request may wait for Redis, from its arrival, in ms.
  package var requestTimeoutMs: Int64
  /// How long connecting and greeting may take, in ms.
  package var connectTimeoutMs: Int64 = 2_000
  package var scriptWay = ScriptWay.auto
  /// Whether to load the scripts and check the namespace.
  package var loadsScripts = true
  /// Whether a server is connected to that is too old, or not a master: to examine it.
  package var takesAnyServer = false
  /// Whether the server is a node of a cluster.
  package var isCluster = false {
    didSet { constants.isCluster = isCluster }
  }
  /// How often a server is asked whether it is still a master, in ms.
  package var roleCheckMs: Int64 = 2_000
  /// The files of TLS, where the endpoint uses it; copies share what was read.
  package var tls: TLSClient
  /// The file of the password, which goes before that of the endpoint; read at each connect.
  package var passwordFile: String?
  /// How many replicas have to have a change before its reply is passed on; 0 awaits none.
  package var replicaAcks = 0
  /// The login at the sentinels, where the endpoint has some; without a file it has no password.
  package var sentinelLogin = SentinelLogin()
  /// The master as the sentinels name it; nil where the endpoint has none.
  package var master: KnownMaster?
  /// Where the connection counts; copies share it.
  package var figures = ConnectionFigures()

  package init(
    endpoint: RedisEndpoint, keyspace: Keyspace, constants: ScriptConstants,
    requestTimeoutMs: Int64, tls: TLSClient = TLSClient(TLSFiles())
  ) {
    self.endpoint = endpoint
    self.tls = tls
    self.keyspace = keyspace
    self.constants = constants
    self.requestTimeoutMs = requestTimeoutMs
  }
}

/// The login at sentinels, which is not that of the servers with the data.
package struct SentinelLogin: Equatable, Sendable {
  /// Nil means the default user.
  package var user: String?
  /// The file of the password, read at each connect.
  package var passwordFile: String?

  package init(user: String? = nil, passwordFile: String? = nil) {
    self.user = user
    self.passwordFile = passwordFile
  }
}

extension RedisSetup {
  /// The same for connections to sentinels, whose addresses are still to be set.
  var ofSentinels: RedisSetup {
    var setup = self
    setup.endpoint.user = sentinelLogin.user
    setup.endpoint.password = nil
    setup.endpoint.database = 0
    setup.passwordFile = sentinelLogin.passwordFile
    (setup.loadsScripts, setup.takesAnyServer) = (false, true)
    (setup.requestTimeoutMs, setup.connectTimeoutMs) = (1_000, 1_000)
    (setup.master, setup.replicaAcks) = (nil, 0)
    setup.figures = ConnectionFigures()
    return setup
  }

  /// Reads the file of the sentinels' password, to say early that it cannot be read.
  package func checkSentinelPassword() throws(FileError) {
    var setup = ofSentinels
    try setup.readPassword()
  }

  /// Takes the password from its file, as that is now.
  package mutating func readPassword() throws(FileError) {
    guard let passwordFile else { return }
    let bytes = try RegularFile.read(passwordFile, bytesMax: 16 << 10)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw FileError(description: "\(passwordFile) is not UTF-8")
    }
    let line = text.prefix { !$0.isNewline }
    guard !line.isEmpty else { throw FileError(description: "\(passwordFile) has no password") }
    endpoint.password = String(line)
  }
}

/// Why a Redis that answers cannot be used.
package enum GreetingRefusal: Equatable, Sendable {
  /// It may get better by itself.
  case passing(String)
  /// It is not the server for work; another one may stand at the address soon.
  case wrongServer(String)
  /// It will not: the worker must not go on.
  case final(String)

  /// The refusal of an error reply, which may get better by itself.
  init(passing message: String) {
    switch StoreError(message) {
    case .refused(let text): self = .passing(text)
    case .wrongServer(let text): self = .wrongServer(text)
    case .elsewhere(let word): self = .wrongServer("\(UnfitServer.cluster) (\(word))")
    case .corrupt, .corruptLock, .failed: self = .passing("Redis said: \(message)")
    case .scriptMissing: self = .passing("Redis forgot a script")
    }
  }
}

/// The dialogue at the beginning of a connection.
struct Greeting {
  private enum Step: Equatable {
    case hello
    case select
  }

  /// The result of the latest answer.
  enum Progress: Equatable {
    case awaitMore
    case done
    case refused(GreetingRefusal)
  }

  private let setup: RedisSetup
  private var steps: [Step]
  private(set) var identity = ServerIdentity()
  var redisVersion: String { identity.version }
  var redisMajor: Int { Int(redisVersion.prefix { $0 != "." }) ?? 0 }

  init(_ setup: RedisSetup) {
    self.setup = setup
    steps = setup.endpoint.database == 0 ? [.hello] : [.hello, .select]
  }

  /// HELLO: introduces the connection, and asks which Redis this is.
  func firstWords() -> CommandBuffer {
    var out = CommandBuffer()
    if let password = setup.endpoint.password {
      out.command("HELLO", "2", "AUTH", setup.endpoint.user ?? "default", password)
    } else {
      out.command("HELLO", "2")
    }
    if setup.endpoint.database != 0 { out.command("SELECT", String(setup.endpoint.database)) }
    return out
  }

  mutating func answered(_ reply: RedisReply) -> Progress {
    let step = steps.removeFirst()
    if reply.kind == .error { return .refused(refusal(step, reply.text)) }
    switch step {
    case .hello:
      identity = ServerIdentity(reply)
      if !setup.takesAnyServer {
        guard identity.isNewEnough else { return .refused(Greeting.tooOld) }
        // Another server may stand there tomorrow: a worker that serves already waits for it.
        if let reason = UnfitServer.reason(identity, isCluster: setup.isCluster) {
          return .refused(.wrongServer(reason))
        }
      }
      return steps.isEmpty ? .done : .awaitMore
    case .select: return .done
    }
  }

  private static let tooOld = GreetingRefusal.final(
    "this Redis is too old: Latchkey needs 6.2 or newer")

  private func refusal(_ step: Step, _ message: String) -> GreetingRefusal {
    if step == .hello, message.contains("unknown command") {
      return Greeting.tooOld
    }
    // A proxy before Redis may repeat what it was sent, and HELLO carries the password.
    if let password = setup.endpoint.password, !password.isEmpty, message.contains(password) {
      return .passing("the login was refused")
    }
    return GreetingRefusal(passing: message)
  }
}
