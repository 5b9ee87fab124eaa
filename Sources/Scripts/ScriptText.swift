// Owns: how the Lua files become the text that Redis loads: one for each script, or one function
// library with all of them. Each is made once; any thread.

internal import SessionModel
internal import Synchronization

extension Script {
  /// The script by itself, for EVALSHA: what it uses of the shared parts, and its file.
  ///
  /// From Redis 7 on the first line declares what the script may do, so that a Redis that is full
  /// or read-only refuses it before it has written anything. Older ones would not compile it.
  package func text(_ constants: ScriptConstants, redisMajor: Int) -> [UInt8] {
    var out: [UInt8] = []
    if redisMajor >= 7 {
      let flags = row.flags.joined(separator: ",")
      out.append(flags.isEmpty ? "#!lua\n" : "#!lua flags=\(flags)\n")
    }
    // The parts have names of their own for these.
    out.append("local keys_of_call, arguments_of_call = KEYS, ARGV\n")
    out += body(constants)
    if constants.isCluster, redisMajor >= 7, row.spansPartitions {
      out.append(CallKeys.gathered)
      out.append("keys_of_call, arguments_of_call = \(row.gatheredKeys("arguments_of_call"))\n")
      out.append("if not arguments_of_call then return keys_of_call end\n")
    }
    out.append("return serve_call(keys_of_call, arguments_of_call)\n")
    return out
  }

  /// A message of Redis in which a place in this script's text is that in a file.
  package func located(
    _ message: String, _ constants: ScriptConstants, redisMajor: Int
  ) -> String {
    LuaText.located(message, after: "user_script:", in: text(constants, redisMajor: redisMajor))
  }

  /// The bodies that were made already.
  ///
  /// A worker sends a script again as often as other clients flush it.
  private static let bodies = Mutex<[Script: [ScriptConstants: [UInt8]]]>([:])

  /// What the script uses of the shared parts, and its own file.
  private func body(_ constants: ScriptConstants) -> [UInt8] {
    Script.bodies.withLock { bodies in
      if let made = bodies[self]?[constants] { return made }
      let source = row.source
      let server = row.server(
        LuaText.mark(source.name) + source.text, ScriptRights.function("missing_right", of: source))
      let parts = [LuaSource.constants(constants)] + LuaSource.closure(of: [source])
      let made = LuaText.packed(LuaSource.pruned(parts, for: source, server))
      bodies[self, default: [:]][constants] = made
      return made
    }
  }
}

/// All scripts as one library of Redis functions: they are made when it is loaded, once for all
/// calls.
///
/// The names carry a hash of the content and one of its user, so that workers of two versions or
/// settings live side by side in one Redis, and none takes away what another one's namespace has.
package struct FunctionLibrary: Sendable {
  /// The prefix of the names of all libraries of a namespace.
  package let prefix: String
  package let name: String
  private let suffix: String
  /// The text without its first line, cut where the generation stands.
  ///
  /// Made once: a worker loads the library again as often as other clients flush it.
  private let pieces: [[UInt8]]

  /// The libraries that were made already.
  private static let made = Mutex<[Key: FunctionLibrary]>([:])

  private struct Key: Hashable {
    let constants: ScriptConstants
    let user: String
  }

  /// The library of these settings, made once for all connections.
  ///
  /// Its user is the namespace, with the number of the database.
  package static func of(_ constants: ScriptConstants, user: String) -> FunctionLibrary {
    made.withLock { made in
      let key = Key(constants: constants, user: user)
      if let library = made[key] { return library }
      let library = FunctionLibrary(constants, user: user)
      made[key] = library
      return library
    }
  }

  private init(_ constants: ScriptConstants, user: String) {
    let owner = FunctionLibrary.hash(Array(user.utf8))
    let content = FunctionLibrary.hash(
      FunctionLibrary.body(constants, generation: "") { $0.name })
    prefix = "latchkey_\(owner)_"
    name = prefix + content
    let suffix = "_\(owner)_\(content)"
    self.suffix = suffix
    let text = FunctionLibrary.body(constants, generation: "\u{1}") { script in
      FunctionLibrary.function(script, suffix, generation: "\u{1}")
    }
    pieces = text.split(separator: 1, omittingEmptySubsequences: false).map(Array.init)
  }

  /// The name of a script's function in a library of this generation; `hello`, which says the
  /// generation, has the same in all.
  package func function(_ script: Script, generation: String) -> String {
    FunctionLibrary.function(script, suffix, generation: generation)
  }

  private static func function(_ script: Script, _ suffix: String, generation: String) -> String {
    script == .hello ? script.name + suffix : "\(script.name)\(suffix)_\(generation)"
  }

  /// A message of Redis in which a place in the library is that in a file, such as `locks.lua:12`.
  package func located(_ message: String) -> String {
    LuaText.located(message, after: "user_function:", in: text(generation: ""))
  }

  /// The argument of FUNCTION LOAD; the loading worker chooses a generation that was never used.
  package func text(generation: String) -> [UInt8] {
    var out = Array("#!lua name=\(name)\n".utf8)
    for (number, piece) in pieces.enumerated() {
      if number > 0 { out.append(generation) }
      out += piece
    }
    return out
  }

  private static func body(
    _ constants: ScriptConstants, generation: String, _ name: (Script) -> String
  ) -> [UInt8] {
    var out: [UInt8] = []
    out.append(constants.lua)
    out.append("local GENERATION = '\(generation)'\nlocal GIVEN = {}\n")
    if constants.isCluster { out.append(CallKeys.gathered) }
    for part in LuaSource.closure(of: Script.allCases.map(\.row.source)) {
      out += part.given
      // It has the call's time, and no part needs this.
      if part.name == "batch" { out.append(ScriptRights.library) }
    }
    for script in Script.allCases {
      out.append("do\n")
      out += script.row.source.taken
      script.row.appendServer(to: &out)
      if constants.isCluster, script.row.spansPartitions {
        out.append("local serve_here = serve_call\nlocal function serve_call(keys, arguments)\n")
        out.append("keys, arguments = \(script.row.gatheredKeys("arguments"))\n")
        out.append(
          "if not arguments then return keys end\nreturn serve_here(keys, arguments)\nend\n")
      }
      let flags = script.row.flags.map { "'\($0)'" }.joined(separator: ", ")
      out.append("redis.register_function{function_name='\(name(script))', ")
      out.append("callback=serve_call, flags={\(flags)}}\nend\n")
    }
    return out
  }

  /// FNV-1a, 64 bits: texts that differ get names that differ; the texts are the project's own.
  private static func hash(_ bytes: [UInt8]) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    let text = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - text.utf8.count) + text
  }
}

extension ScriptRow {
  /// The code of each script's `serve_call` in a library, in the order of the scripts.
  ///
  /// Made once: a worker loads the library again as often as other clients flush it.
  private static let servers: [[UInt8]] = table.map { row in
    row.server(row.source.packed, ScriptRights.listed("missing_right", of: row.source))
  }

  /// Appends the code of `serve_call`, the function that serves a call.
  fileprivate func appendServer(to out: inout [UInt8]) { out += ScriptRow.servers[script.rawValue] }

  /// The code of `serve_call`, of the file's text and of the function that asks for rights.
  ///
  /// A file gives a function, which is made once: of one that serves many requests, `each` makes
  /// it when it has the length of a request; one that serves a whole call gets its parameters.
  /// Where the file uses the parts, they get the call first.
  fileprivate func server(_ text: [UInt8], _ rights: @autoclosure () -> String) -> [UInt8] {
    var out: [UInt8] = []
    out.append("local serve = (function()\n")
    out += text
    out.append("end)()\n")
    let servesMany = arguments > 0
    if servesMany, !keysAreRecords {
      let hasKey = parameters.last?.name == "req"
      out.append("serve = serve(\(arguments), \(hasKey))\n")
    }
    let checksRights = effect != .reads && !source.uses.isEmpty
    if checksRights { out.append(rights()) }
    out.append("local function serve_call(keys, arguments)\n")
    if !source.uses.isEmpty {
      let right = checksRights ? "missing_right" : "nil"
      out.append("begin(keys, arguments, \(isTimeless), \(right))\n")
    }
    if checksRights, !servesMany {
      out.append("local refusal = unpermitted()\n")
      out.append("if refusal then return redis.error_reply(refusal) end\n")
    }
    if servesMany {
      out.append("return serve()\nend\n")
    } else {
      appendArguments(to: &out)
    }
    return out
  }

  /// Appends the arguments of the function that serves a whole call: each parameter, and the list
  /// of all that are left.
  private func appendArguments(to out: inout [UInt8]) {
    var words = ["keys"]
    for (place, parameter) in parameters.enumerated() {
      guard parameter.isList else {
        words.append("arguments[\(place + 1)]")
        continue
      }
      out.append("local rest = {}\n")
      out.append("for n = \(place + 1), #arguments do rest[n - \(place)] = arguments[n] end\n")
      words.append("rest")
    }
    out.append("return serve(\(words.joined(separator: ", ")))\nend\n")
  }
}

/// How a call of a cluster has its keys, where they may be of several slots.
///
/// Redis refuses a call that declares keys of two slots. So it declares one, which is its route,
/// and all of them stand behind its arguments, then their number.
enum CallKeys {
  /// The Lua function that takes them from there; a call that has keys of a slot that this node
  /// does not have gets an error in place of them, and no arguments.
  static let gathered = """
    local function gathered(arguments, is_checked)
    local last = #arguments
    local count = tonumber(arguments[last])
    local all, first = {}, last - count - 1
    for n = 1, count do all[n] = arguments[first + n] end
    if not is_checked then return all, arguments end
    for n = last, first + 1, -1 do arguments[n] = nil end
    for n = 1, count do
    local seen = redis.pcall('EXISTS', all[n])
    if type(seen) == 'table' then
    local is_slot = string.find(seen.err, 'cluster', 1, true)
    return redis.error_reply(is_slot and 'ELSEWHERE ' .. all[n] or seen.err)
    end
    end
    return all, arguments
    end

    """
}

extension ScriptRow {
  /// The expression that gives a call's keys and arguments.
  ///
  /// Scripts that serve many requests check each by itself.
  fileprivate func gatheredKeys(_ arguments: String) -> String {
    "gathered(\(arguments), \(self.arguments == 0))"
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ text: String) { self += Array(text.utf8) }
}

/// The settings that scripts need; written into their text when they are loaded.
package struct ScriptConstants: Hashable, Sendable {
  /// How long the reply to a request with `req=` is kept, in ms.
  package var reqKeepMs: Int64
  /// About how many events a partition's log keeps that all groups have acknowledged.
  package var eventsMax: Int
  /// The bytes up to which a partition's log waits for its groups.
  package var eventBytesMax = 4 << 20
  /// How long a log waits for a group that does not ask for events any more, in ms.
  package var groupKeepMs: Int64 = 604_800_000
  /// How many agents a partition keeps figures of; the rest share one entry.
  package var agentsMax = 1_000

  package init(reqKeepMs: Int64, eventsMax: Int) {
    self.reqKeepMs = reqKeepMs
    self.eventsMax = eventsMax
  }

  /// Whether the server is a node of a cluster.
  package var isCluster = false
  /// The most live sessions of a device.
  package var sessionsMax = 50
  /// The most chats of a session.
  package var chatsMax = 20
  /// The most messages of a chat; the oldest go.
  package var messagesMax = 1_000
  /// The most callers that wait for one device.
  package var waitingMax = 10_000
  /// The most documents of a session.
  package var documentsMax = 10_000
  /// The most fields of a session.
  package var fieldsMax = 128
  /// The most links of a session.
  package var linksMax = 128
  /// The most shares of a session.
  package var sharesMax = 50
  /// The most bytes of a session's links together, each with its kind and two more: every event of
  /// the session shows them.
  package static let linkBytesMax = 32 << 10

  /// The names of a session's clocks, in the order in which its record keeps them, and the form of
  /// their lengths there.
  private static let clocks = SessionClock.allCases.map { "'\($0.rawValue)'" }
    .joined(separator: ", ")
  private static let clocksForm = SessionClock.allCases.map { _ in "(%d+)" }.joined(separator: " ")

  /// How many bytes of events are written, on average, until a log is attended to.
  private var attendBytes: Int { max(1, min(16_384, eventBytesMax / 256, eventsMax * 32)) }

  var lua: String {
    """
    local REQ_KEEP_MS, EVENTS_MAX, AGENTS_MAX = \(reqKeepMs), \(eventsMax), \(agentsMax)
    local SESSIONS_MAX, CHATS_MAX, MESSAGES_MAX = \(sessionsMax), \(chatsMax), \(messagesMax)
    local FIELDS_MAX, LINKS_MAX, WAITING_MAX = \(fieldsMax), \(linksMax), \(waitingMax)
    local IS_CLUSTER = \(isCluster)
    local DOCUMENTS_MAX, SHARES_MAX = \(documentsMax), \(sharesMax)
    local LINK_BYTES_MAX = \(ScriptConstants.linkBytesMax)
    local EVENT_BYTES_MAX, EVENT_SHARE_MAX = \(eventBytesMax), \(eventBytesMax / 16)
    local ATTEND_BYTES, GROUP_KEEP_MS = \(attendBytes), \(groupKeepMs)
    local CLOCKS, CLOCKS_LEAST = {\(ScriptConstants.clocks)}, \(SessionClock.leastCount)
    local CLOCKS_FORM = '^\(ScriptConstants.clocksForm)$'

    """
  }
}
