// Owns: the commands that Latchkey uses, each with a probe that runs it on keys of the doctor's
// own. A test compares the table with the scripts. A value; any thread.

internal import SessionModel

/// The keys that the doctor writes: all under one hash tag, as a partition's keys are, and under
/// a name that no other run has.
struct ProbeKeys: Sendable {
  private let base: String
  let layout: String
  /// A channel as workers have one each.
  let channel: String
  /// A channel of the changes of a partition.
  let changes: String
  /// How long a key may live that could not be removed.
  static let ttlMs: Int64 = 20_000

  init(namespace: String, run: String, tag: String = "doctor") {
    base = "\(namespace):{\(tag)}:\(run)"
    channel = "\(namespace):to:doctor"
    changes = "\(namespace):{\(tag)}:changes"
    layout = Keyspace(namespace: namespace).layoutKey
  }

  var text: String { base + ":text" }
  var hash: String { base + ":hash" }
  var sorted: String { base + ":sorted" }
  var set: String { base + ":set" }
  var stream: String { base + ":stream" }
  var list: String { base + ":list" }
  var script: String { base + ":script" }
  /// The key whose expiry is to be announced.
  var ending: String { base + ":ending" }
  /// A key that is never there.
  var missing: String { base + ":missing" }

  /// Every key that may have been written.
  var written: [String] { [text, hash, sorted, set, list, stream, script, ending] }
}

/// One command that Latchkey uses.
struct Probe: Sendable {
  /// The command, and its subcommand where rights are given by it.
  let name: String
  /// The command that is sent.
  let words: [String]
  /// A command that needs the same right and makes no key; nil if `words` makes none either.
  let harmless: [String]?

  init(_ name: String, _ words: String..., harmless: [String]? = nil) {
    let command = name.split(separator: " ").map(String.init)
    self.name = name
    self.words = command + words
    self.harmless = harmless.map { command + $0 }
  }

  /// The ACL rule that grants the command.
  var rule: String { "+" + String(name.lowercased().map { $0 == " " ? "|" : $0 }) }

  /// Whether Latchkey works without it, only less promptly or at a higher price.
  var isOptional: Bool { ["SUBSCRIBE", "PSUBSCRIBE", "WAIT"].contains(name) || isOfFunctions }
  /// Whether only functions need it, which Redis has from 7.0 on.
  var isOfFunctions: Bool { name == "FCALL" || name.hasPrefix("FUNCTION ") }
}

extension Probe {
  /// The first probes: they show whether the keys of the later ones can be removed again.
  static func removers(_ keys: ProbeKeys) -> [Probe] {
    [
      Probe("SET", keys.text, "1", "PX", "\(ProbeKeys.ttlMs)"),
      Probe("DEL", keys.missing),
    ]
  }

  /// Everything else that the scripts and the worker ask of Redis.
  static func others(_ keys: ProbeKeys, endsAtMs: Int64) -> [Probe] {
    plain(keys, ends: "\(endsAtMs)") + lists(keys, ends: "\(endsAtMs)")
      + streams(keys, ends: "\(endsAtMs)") + scripts(keys)
  }

  /// A call of a script that does what Latchkey's do: takes the time, writes a key and reads it.
  static func writingScript(_ keys: ProbeKeys, redisMajor: Int) -> [String] {
    let body = """
      local clock = redis.call('TIME')
      redis.call('SET', KEYS[1], clock[1], 'PX', ARGV[1])
      return redis.call('GET', KEYS[1])
      """
    let text = (redisMajor >= 7 ? "#!lua\n" : "") + body
    return ["EVAL", text, "1", keys.script, "\(ProbeKeys.ttlMs)"]
  }

  /// Texts, hashes, sets and sorted sets.
  private static func plain(_ keys: ProbeKeys, ends: String) -> [Probe] {
    let (hash, sorted, set) = (keys.hash, keys.sorted, keys.set)
    return [
      Probe("TIME"),
      Probe("PING"),
      // Only --replica-acks needs it; none is awaited here.
      Probe("WAIT", "0", "1"),
      Probe("GET", keys.text),
      Probe("STRLEN", keys.text),
      Probe("APPEND", keys.text, "1"),
      Probe("MGET", keys.text, keys.missing),
      // It is refused without a value for each key, but only after the right was checked.
      Probe("MSET", keys.text, "1", harmless: [keys.text, "1", keys.text]),
      Probe("PEXPIREAT", keys.text, ends),
      Probe("EXISTS", keys.text),
      // To its own name, which changes nothing; without the key it is refused after the right.
      Probe("RENAME", keys.text, keys.text, harmless: [keys.missing, keys.missing]),
      Probe("UNLINK", keys.missing),
      // On a key that never exists, so that a key with a TTL keeps it.
      Probe("PERSIST", keys.missing),
      // It is refused without a value for the field, but only after the right was checked.
      Probe("HSET", hash, "a", "1", "b", "2", harmless: [hash, "a", "1", "b"]),
      Probe("PEXPIREAT", hash, ends),
      Probe("PEXPIRE", hash, "\(ProbeKeys.ttlMs)"),
      Probe("HINCRBY", hash, "a", "1", harmless: [hash, "a", "no number"]),
      Probe("HGET", hash, "a"),
      Probe("HMGET", hash, "a", "b"),
      Probe("HGETALL", hash),
      Probe("HSCAN", hash, "0", "MATCH", "a", "COUNT", "9"),
      Probe("HKEYS", hash),
      Probe("HEXISTS", hash, "a"),
      Probe("HLEN", hash),
      Probe("HSTRLEN", hash, "a"),
      Probe("HDEL", hash, "b"),
      Probe("ZADD", sorted, "1", "a", "2", "b", harmless: [sorted, "XX", "1", "a"]),
      Probe("PEXPIREAT", sorted, ends),
      Probe("ZRANGE", sorted, "0", "0", "WITHSCORES"),
      Probe("ZRANGEBYSCORE", sorted, "-inf", "9", "LIMIT", "0", "9"),
      Probe("ZRANGEBYLEX", sorted, "-", "+"),
      Probe("ZREVRANGEBYLEX", sorted, "+", "-", "LIMIT", "0", "9"),
      Probe("ZSCORE", sorted, "a"),
      Probe("ZRANK", sorted, "a"),
      Probe("ZCARD", sorted),
      Probe("PUBLISH", keys.channel, "probe"),
      Probe("ZMSCORE", sorted, "a", "b"),
      Probe("PUBLISH", keys.changes, "probe"),
      Probe("UNSUBSCRIBE", keys.changes),
      Probe("ZREM", sorted, "a"),
      Probe("ZREMRANGEBYSCORE", sorted, "-inf", "0"),
      Probe("ZREMRANGEBYLEX", sorted, "[b", "(b"),
      Probe("SADD", set, "a", "b", harmless: [keys.text, "a"]),
      Probe("PEXPIREAT", set, ends),
      Probe("SCARD", set),
      Probe("SMEMBERS", set),
      Probe("SISMEMBER", set, "a"),
      Probe("SREM", set, "a"),
    ]
  }

  private static func lists(_ keys: ProbeKeys, ends: String) -> [Probe] {
    let list = keys.list
    return [
      Probe("RPUSH", list, "a", "b", harmless: [keys.text, "a"]),
      Probe("PEXPIREAT", list, ends),
      Probe("LLEN", list),
      Probe("LINDEX", list, "-1"),
      Probe("LRANGE", list, "0", "-1"),
      Probe("LSET", list, "0", "a", harmless: [list, "no number", "a"]),
      Probe("LTRIM", list, "0", "0"),
      Probe("LREM", list, "-1", "none"),
      Probe("RPOP", list),
    ]
  }

  private static func streams(_ keys: ProbeKeys, ends: String) -> [Probe] {
    let stream = keys.stream
    return [
      Probe("XADD", stream, "*", "t", "doctor", harmless: [stream, "NOMKSTREAM", "*", "t", "d"]),
      Probe("PEXPIREAT", stream, ends),
      Probe("XRANGE", stream, "-", "+", "COUNT", "1"),
      Probe("XREVRANGE", stream, "+", "-", "COUNT", "1"),
      Probe("XREAD", "COUNT", "1", "STREAMS", stream, "0"),
      Probe("XLEN", stream),
      Probe("MEMORY USAGE", stream, "SAMPLES", "0"),
      Probe("XGROUP CREATE", stream, "group", "0"),
      Probe("XGROUP CREATECONSUMER", stream, "group", "none"),
      Probe("XINFO GROUPS", stream),
      Probe("XREADGROUP", "GROUP", "group", "me", "COUNT", "1", "STREAMS", stream, ">"),
      Probe("XINFO CONSUMERS", stream, "group"),
      Probe("XPENDING", stream, "group", "IDLE", "0", "-", "+", "1", "me"),
      Probe("XCLAIM", stream, "group", "me", "0", "1-1", "JUSTID"),
      Probe("XGROUP DELCONSUMER", stream, "group", "none"),
      Probe("XACK", stream, "group", "1-1"),
      Probe("XGROUP DESTROY", stream, "group"),
      Probe("XTRIM", stream, "MAXLEN", "1"),
    ]
  }

  private static func scripts(_ keys: ProbeKeys) -> [Probe] {
    [
      Probe("EVAL", smallScript, "1", keys.script),
      Probe("SCRIPT LOAD", smallScript),
      Probe("EVALSHA", smallScriptHash, "1", keys.script),
    ]
  }

  /// Asked of a node of a cluster only.
  static let cluster = [Probe("CLUSTER SLOTS"), Probe("CLUSTER MYID"), Probe("CLUSTER INFO")]

  /// A library of the doctor's own, which a run removes or the next one replaces.
  static let functions = [
    Probe("FUNCTION LOAD", "REPLACE", smallLibrary),
    Probe("FCALL", "latchkey_doctor", "0"),
    Probe("FUNCTION LIST", "LIBRARYNAME", "latchkey_doctor"),
    Probe("FUNCTION DELETE", "latchkey_doctor"),
  ]

  private static let smallLibrary = """
    #!lua name=latchkey_doctor
    redis.register_function('latchkey_doctor', function() return 1 end)
    """

  private static let smallScript = "return 1"
  /// The SHA-1 of `smallScript`, which names it in Redis once it is loaded.
  private static let smallScriptHash = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"

  // MARK: On the subscribing connection

  static func channel(database: Int) -> String { "__keyevent@\(database)__:expired" }

  static func subscribe(database: Int) -> Probe { Probe("SUBSCRIBE", channel(database: database)) }

  static func patternSubscribe(database: Int) -> Probe {
    Probe("PSUBSCRIBE", channel(database: database))
  }
}
