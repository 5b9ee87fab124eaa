// Owns: how the Lua files become what Redis is given: a text for each script, or one function
// library with all of them. Pure functions; any thread.

extension Script {
  /// The script by itself, for EVALSHA: what it needs of the shared parts, and its file.
  ///
  /// From Redis 7 on the first line declares what the script may do, so that a Redis that is full
  /// or read-only refuses it before it has written anything. Older ones would not compile it.
  package func text(_ constants: ScriptConstants, redisMajor: Int) -> [UInt8] {
    var out: [UInt8] = []
    if redisMajor >= 7 { out.append("#!lua\(row.effect.flag.map { " flags=\($0)" } ?? "")\n") }
    out.append(constants.lua)
    let parts = LuaSource.closure(of: [row.source])
    if !parts.isEmpty {
      // The parts have names of their own for these.
      out.append("local the_keys, the_arguments = KEYS, ARGV\n")
      for part in parts { out += part.text }
      out.append("begin(the_keys, the_arguments)\n")
    }
    out += row.source.text
    return out
  }
}

/// All scripts as one library of Redis functions: they are made when it is loaded, once for all
/// calls.
///
/// The names carry a hash of the content and one of its user, so that workers of two versions or
/// settings live side by side in one Redis, and none takes away what another one's namespace has.
package struct FunctionLibrary: Sendable {
  /// What the names of all libraries of a namespace begin with.
  package let prefix: String
  package let name: String
  private let suffix: String
  private let body: [UInt8]

  /// `user` is the namespace, with the number of its database.
  package init(_ constants: ScriptConstants, user: String) {
    let owner = FunctionLibrary.hash(Array(user.utf8))
    prefix = "latchkey_\(owner)_"
    let content = FunctionLibrary.hash(FunctionLibrary.body(constants, suffix: ""))
    suffix = "_\(owner)_\(content)"
    name = prefix + content
    body = FunctionLibrary.body(constants, suffix: suffix)
  }

  /// The name of a script's function.
  package func function(_ script: Script) -> String { script.name + suffix }

  /// What FUNCTION LOAD is given.
  package var text: [UInt8] { Array("#!lua name=\(name)\n".utf8) + body }

  private static func body(_ constants: ScriptConstants, suffix: String) -> [UInt8] {
    var out: [UInt8] = []
    out.append(constants.lua)
    let sources = Script.allCases.map(\.row.source)
    for part in LuaSource.closure(of: sources) { out += part.text }
    for script in Script.allCases {
      // A block for each: Lua takes no more than 200 locals in one.
      out.append("do\nlocal function run(KEYS, ARGV)\n")
      if !script.row.source.uses.isEmpty { out.append("begin(KEYS, ARGV)\n") }
      out += script.row.source.text
      let flags = script.row.effect.flag.map { "'\($0)'" } ?? ""
      out.append("end\nredis.register_function{function_name='\(script.name)\(suffix)', ")
      out.append("callback=run, flags={\(flags)}}\nend\n")
    }
    return out
  }

  /// FNV-1a, 64 bits: texts that differ get names that differ, and nobody chooses these texts.
  private static func hash(_ bytes: [UInt8]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    let text = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - text.utf8.count) + text
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ text: String) { self += Array(text.utf8) }
}

/// What the operator has set that scripts need; written into their text when they are loaded.
package struct ScriptConstants: Hashable, Sendable {
  /// How long the reply to a request with `req=` is kept, in ms.
  package var reqKeepMs: Int64
  /// About how many events a partition's log keeps.
  package var eventsMax: Int
  /// How many agents a partition keeps figures of; the rest share one entry.
  package var agentsMax = 1_000

  package init(reqKeepMs: Int64, eventsMax: Int) {
    self.reqKeepMs = reqKeepMs
    self.eventsMax = eventsMax
  }

  /// The most live sessions of a device.
  package var sessionsMax = 50
  /// The most chats of a session.
  package var chatsMax = 20
  /// The most messages of a chat; the oldest go.
  package var messagesMax = 1_000
  /// The most fields of a session.
  package var fieldsMax = 128
  /// The most links of a session.
  package var linksMax = 128
  /// The most bytes of a session's links together, each with its kind and two more: every event of
  /// the session shows them, and a log is limited by the number of its events.
  package static let linkBytesMax = 32 << 10

  fileprivate var lua: String {
    """
    local REQ_KEEP_MS, EVENTS_MAX, AGENTS_MAX = \(reqKeepMs), \(eventsMax), \(agentsMax)
    local SESSIONS_MAX, CHATS_MAX, MESSAGES_MAX = \(sessionsMax), \(chatsMax), \(messagesMax)
    local FIELDS_MAX, LINKS_MAX = \(fieldsMax), \(linksMax)
    local LINK_BYTES_MAX = \(ScriptConstants.linkBytesMax)

    """
  }
}
