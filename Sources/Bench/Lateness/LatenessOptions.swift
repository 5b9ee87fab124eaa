// Owns: the options of the measurements of lateness, and how they are read. A value.

import Loop

/// The options of the measurements.
struct LatenessOptions {
  /// The socket of Redis; empty where only workers are needed.
  var redis = ""
  var workers: [Address] = []
  /// Other keys that have a TTL.
  var keys = 1_000_000
  var locks = 10_000
  /// Over how long the locks fall due.
  var overMs: Int64 = 10_000
  /// How long after its deadline an announcement counts.
  var listenMs: Int64 = 60_000
  var seconds = 10
  var observed: [BenchOptions.Observed] = []

  /// Reads what follows `lateness` or `quiet` on the command line.
  static func parse(_ words: [String], needsRedis: Bool) throws(LoadFailure) -> LatenessOptions {
    var options = LatenessOptions()
    var rest = words[...]
    if needsRedis {
      guard let path = rest.popFirst() else { throw LoadFailure("Redis' socket is missing") }
      options.redis = path
    }
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else {
        options.workers.append(try BenchOptions.address(word))
        continue
      }
      guard let value = rest.popFirst() else { throw LoadFailure("\(word) needs a value") }
      try options.set(word, value)
    }
    return options
  }

  private mutating func set(_ flag: String, _ value: String) throws(LoadFailure) {
    if flag == "--pid" {
      observed.append(try BenchOptions.observed(value))
      return
    }
    guard let number = Int(value), number >= 0 else {
      throw LoadFailure("\(flag) takes a whole number, not '\(value)'")
    }
    switch flag {
    case "--keys": keys = number
    case "--locks": locks = number
    case "--over-ms": overMs = Int64(number)
    case "--listen-ms": listenMs = Int64(number)
    case "--seconds": seconds = max(1, number)
    default: throw LoadFailure("there is no option '\(flag)'; see --help")
    }
  }
}
