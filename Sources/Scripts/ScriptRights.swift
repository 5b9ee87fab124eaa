// Owns: the rights that a script needs in Redis: which commands its text has. Pure functions; any
// thread.

/// The commands of scripts, as Redis is asked about the right to them.
///
/// Redis refuses a command when a script comes to it, and keeps what the script has written before.
/// So a script that writes asks about all of its commands first; from Redis 7.0 on it can.
enum ScriptRights {
  /// The commands that have their key at another place than the first, with words around it, and
  /// the one that has the channel of a worker.
  private static let forms: [String: [String]] = [
    "PUBLISH": ["'PUBLISH', (string.match(key, '^(.-):{') or key) .. ':to:', ''"],
    "TIME": ["'TIME'"],
    "MEMORY": ["'MEMORY', 'USAGE', key"],
    "RENAME": ["'RENAME', key, key"],
    "XGROUP": [
      "'XGROUP', 'CREATE', key", "'XGROUP', 'CREATECONSUMER', key", "'XGROUP', 'DELCONSUMER', key",
      "'XGROUP', 'DESTROY', key",
    ],
    "XINFO": ["'XINFO', 'GROUPS', key", "'XINFO', 'CONSUMERS', key"],
    "XREADGROUP": ["'XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', key, '>'"],
  ]

  /// All other commands that the scripts have.
  private static let commands: Set<String> = [
    "APPEND", "DEL", "EXISTS", "GET", "HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HKEYS",
    "HLEN",
    "HMGET", "HSCAN", "HSET", "HSTRLEN",
    "LINDEX", "LLEN", "LRANGE", "LREM", "LSET", "LTRIM", "MGET", "MSET", "PERSIST", "PEXPIRE",
    "PEXPIREAT",
    "RPOP", "RPUSH", "SADD", "SCARD", "SET", "SISMEMBER", "SMEMBERS", "SREM", "STRLEN", "UNLINK",
    "XACK", "XADD",
    "XCLAIM", "XLEN", "XPENDING", "XRANGE", "XREVRANGE", "XTRIM", "ZADD", "ZCARD", "ZMSCORE",
    "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANK", "ZREM", "ZREMRANGEBYLEX",
    "ZREMRANGEBYSCORE", "ZREVRANGEBYLEX", "ZSCORE",
  ]

  /// The commands of a script and its parts, in order.
  private static func commands(of script: LuaSource) -> [String] {
    let parts = LuaSource.closure(of: [script]).flatMap { LuaSource.quotedWords[$0.name] ?? [] }
    let words = Set(quotedWords(script.text)).union(parts)
    return words.filter { forms[$0] != nil || commands.contains($0) }.sorted()
  }

  /// The Lua function that returns the first command of a script and its parts to which the user
  /// has no right; nil if there is none, or Redis cannot say.
  ///
  /// All in one expression, as nothing is kept from call to call.
  static func function(_ name: String, of script: LuaSource) -> String {
    let calls = commands(of: script).flatMap { forms[$0] ?? ["'\($0)', key"] }
    let checks = calls.map { "not may(\($0)) and \($0.prefix { $0 != "," })" }
    return """
      local function \(name)(key)
      local may = redis.acl_check_cmd
      return may and (\((["nil"] + checks).joined(separator: "\nor ")))
      end

      """
  }

  /// The same in a library, by the script's list of commands and what `library` has for all.
  static func listed(_ name: String, of script: LuaSource) -> String {
    let list = commands(of: script).map { "'\($0)'" }.joined(separator: ", ")
    return "local \(name) = right_to({\(list)})\n"
  }

  /// What asks for the rights to a list of commands: for each of them once in a ms, whichever
  /// scripts have it.
  static let library: String = {
    let special = forms.sorted { $0.key < $1.key }.map { command, calls in
      let asks = calls.map { "may(\($0))" }.joined(separator: " and ")
      return "if command == '\(command)' then return \(asks) end\n"
    }
    return """
      local permitted_ms = {}
      local function is_permitted(command, key)
      local may = redis.acl_check_cmd
      \(special.joined())return may(command, key)
      end
      local function right_to(commands)
      return function(key)
      if not redis.acl_check_cmd then return nil end
      for n = 1, #commands do
      local command = commands[n]
      if permitted_ms[command] ~= now_ms then
      if not is_permitted(command, key) then return command end
      permitted_ms[command] = now_ms
      end
      end
      end
      end

      """
  }()

  /// The words in capitals that stand between quotes.
  static func quotedWords(_ text: [UInt8]) -> [String] {
    text.split(separator: UInt8(ascii: "'")).compactMap { part in
      let isWord = part.allSatisfy { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 }
      return isWord ? String(decoding: part, as: UTF8.self) : nil
    }
  }
}
