// Owns: the dialogue that loads the scripts into Redis, at the beginning of a connection and again
// when Redis has forgotten them. A value without clock or socket; any thread.

internal import Scripts
internal import SessionModel

/// How scripts are to be called.
package enum ScriptWay: String, Sendable, CaseIterable {
  /// As functions where Redis has them and lets us, else by their hashes.
  case auto
  /// As functions, by FCALL.
  case function
  /// By their hashes, by EVALSHA.
  case script
}

/// The names by which a connection calls the scripts.
struct ScriptNames {
  enum Kind: String {
    case function
    case script
  }

  let kind: Kind
  /// The name of each script, by its number: of a function, or the hash of a text.
  let names: [[UInt8]]
  /// The library of functions, and the prefix of the names of all libraries of the namespace.
  var library: (name: String, prefix: String)?
  /// Why they are not functions, though they might be.
  var remark: String?

  /// The command that calls a script, as RESP.
  var command: StaticString {
    switch kind {
    case .function: "$5\r\nFCALL\r\n"
    case .script: "$7\r\nEVALSHA\r\n"
    }
  }
}

/// The dialogue until Redis knows the scripts.
struct ScriptLoading {
  private enum Step: Equatable {
    /// The check of the namespace.
    case evaluateHello
    /// Reads the library's generation, if the library is there.
    case callHello
    case loadLibrary
    case loadScript
  }

  /// The result of the latest answer.
  enum Progress {
    case awaitMore
    /// Send these commands, which get so many replies.
    case send(CommandBuffer, replies: Int)
    case done(ScriptNames)
    case refused(GreetingRefusal)
  }

  private let setup: RedisSetup
  private let redisVersion: String
  private let redisMajor: Int
  /// Whether Redis has known the scripts as functions on this connection.
  private let hadFunctions: Bool
  private let library: FunctionLibrary
  private var steps: [Step] = []
  /// The generation of the library that is being loaded.
  private var generation = ""
  private var hashes: [[UInt8]] = []
  /// Why the scripts are not called as functions.
  private var remark: String?
  /// Whether the server has the key of the layout; of a cluster one node has it.
  private var hasLayout = true
  /// How many replies are still to come that count for nothing.
  private var skipped = 0
  /// How often the library was found missing; a client may flush functions all the time.
  private var loads = 0
  private static let loadsMax = 8

  init(_ setup: RedisSetup, redisVersion: String, hadFunctions: Bool = false) {
    self.setup = setup
    self.redisVersion = redisVersion
    self.hadFunctions = hadFunctions
    redisMajor = Int(redisVersion.prefix { $0 != "." }) ?? 0
    library = setup.library
  }

  private var usesFunctions: Bool { setup.scriptWay != .script && redisMajor >= 7 && remark == nil }

  mutating func begin() -> Progress {
    guard setup.scriptWay != .function || redisMajor >= 7 else {
      let text = "--lua function needs Redis 7.0 or newer, and this is \(redisVersion)"
      return .refused(.final(text + ": use --lua auto"))
    }
    if hadFunctions { return loadLibrary() }
    var out = CommandBuffer()
    evaluateHello(&out)
    if usesFunctions { callHello(&out) }
    return .send(out, replies: steps.count)
  }

  mutating func answered(_ reply: RedisReply) -> Progress {
    if skipped > 0 {
      skipped -= 1
      return .awaitMore
    }
    return switch steps.removeFirst() {
    case .evaluateHello: helloEvaluated(reply)
    case .callHello: helloCalled(reply)
    case .loadLibrary: libraryLoaded(reply)
    case .loadScript: scriptLoaded(reply)
    }
  }

  // MARK: The namespace

  private mutating func evaluateHello(_ out: inout CommandBuffer) {
    out.begin(words: 3 + HelloCall.wordCount + layoutKeys.count)
    out.word("EVAL")
    out.word(Script.hello.text(setup.constants, redisMajor: redisMajor))
    helloArguments(&out)
    steps.append(.evaluateHello)
  }

  /// The key of the layout; none at a node of a cluster that does not have it.
  private var layoutKeys: [String] { hasLayout ? [setup.keyspace.layoutKey] : [] }

  private func helloArguments(_ out: inout CommandBuffer) {
    out.word(Int64(layoutKeys.count))
    for key in layoutKeys { out.word(key) }
    HelloCall(layout: ArgumentText(Layout.text)).write(to: &out)
  }

  private mutating func helloEvaluated(_ reply: RedisReply) -> Progress {
    if setup.isCluster, hasLayout, reply.kind == .error, case .elsewhere = StoreError(reply.text) {
      // The node that has the key checks it; what was asked behind it is answered in the same way.
      hasLayout = false
      steps.removeAll()
      skipped = usesFunctions ? 1 : 0
      var out = CommandBuffer()
      evaluateHello(&out)
      if usesFunctions { callHello(&out) }
      return .send(out, replies: steps.count)
    }
    guard reply.kind != .error else { return refused(reply) }
    let layout = reply.count == 2 ? reply[0].text : reply.text
    guard layout == Layout.text, reply.count == 2 else {
      let text =
        "the namespace \(setup.keyspace.namespace) in this Redis has "
        + "\(Layout.words(layout)), this worker \(Layout.words): "
        + "use another --namespace, or the version that made this one"
      return .refused(.final(text))
    }
    return usesFunctions ? .awaitMore : loadScripts()
  }

  // MARK: Functions

  private mutating func callHello(_ out: inout CommandBuffer) {
    out.begin(words: 3 + HelloCall.wordCount + layoutKeys.count)
    out.word("FCALL")
    out.word(library.function(.hello, generation: ""))
    helloArguments(&out)
    steps.append(.callHello)
  }

  private mutating func helloCalled(_ reply: RedisReply) -> Progress {
    if reply.kind != .error { return haveFunctions(generation: reply[1].text) }
    if StoreError(reply.text) == .scriptMissing { return loadLibrary() }
    return deniesFunctions(reply.text) ? withoutFunctions(reply.text) : refused(reply)
  }

  private mutating func loadLibrary() -> Progress {
    loads += 1
    guard loads <= ScriptLoading.loadsMax else {
      return .refused(.passing("Redis forgets functions as soon as it has loaded them"))
    }
    generation = String(UInt64.random(in: .min ... .max), radix: 16)
    var out = CommandBuffer()
    out.begin(words: 3)
    out.word("FUNCTION")
    out.word("LOAD")
    out.word(library.text(generation: generation))
    steps.append(.loadLibrary)
    return .send(out, replies: 1)
  }

  private mutating func libraryLoaded(_ reply: RedisReply) -> Progress {
    if reply.kind != .error { return haveFunctions(generation: generation) }
    // Another worker was faster, and has chosen the generation.
    if reply.text.contains("already exists") {
      var out = CommandBuffer()
      callHello(&out)
      return .send(out, replies: 1)
    }
    return deniesFunctions(reply.text) ? withoutFunctions(reply.text) : refused(reply)
  }

  private func haveFunctions(generation: String) -> Progress {
    let names = Script.allCases.map { Array(library.function($0, generation: generation).utf8) }
    return .done(
      ScriptNames(
        kind: .function, names: names, library: (library.name, library.prefix)))
  }

  /// Whether an error says that there will be no functions, while scripts may do.
  ///
  /// For want of a right, of memory, or of the command: a service may leave it out.
  private func deniesFunctions(_ message: String) -> Bool {
    if message.hasPrefix("NOPERM") || message.hasPrefix("OOM") { return true }
    if case .failed = StoreError(message) { return true }
    return false
  }

  private mutating func withoutFunctions(_ reason: String) -> Progress {
    guard setup.scriptWay == .auto else {
      return .refused(.final("--lua function: this Redis does not run functions: \(reason)"))
    }
    remark = reason
    return loadScripts()
  }

  // MARK: Scripts

  private mutating func loadScripts() -> Progress {
    var out = CommandBuffer()
    for script in Script.allCases {
      out.begin(words: 3)
      out.word("SCRIPT")
      out.word("LOAD")
      out.word(script.text(setup.constants, redisMajor: redisMajor))
      steps.append(.loadScript)
    }
    return .send(out, replies: steps.count)
  }

  private mutating func scriptLoaded(_ reply: RedisReply) -> Progress {
    guard reply.kind != .error else { return refused(reply) }
    hashes.append(Array(reply.bytes))
    guard steps.isEmpty else { return .awaitMore }
    return .done(ScriptNames(kind: .script, names: hashes, remark: remark))
  }

  private func refused(_ reply: RedisReply) -> Progress {
    .refused(GreetingRefusal(passing: reply.text))
  }
}

extension RedisSetup {
  /// The scripts as functions: a namespace of one database has its own.
  var library: FunctionLibrary {
    FunctionLibrary.of(constants, user: "\(endpoint.database) \(keyspace.namespace)")
  }
}

/// A request for hello.lua.
struct HelloCall: ScriptCall {
  static let script = Script.hello
  static let wordCount = 1
  let layout: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(layout)
  }
}
