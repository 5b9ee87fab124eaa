// Owns: the options of the measurement of groups, and how they are read. A value.

import Loop

/// How many events are written, and by whom.
struct GroupsOptions {
  /// The socket of the workers' Redis.
  var redis = ""
  var workers: [Address] = []
  var events = 1_000_000
  var devices = 20_000
  /// By how many events writing may be ahead of the group that keeps asking.
  var ahead = 10_000

  /// The number that a flag sets; nil if it is none.
  private static func number(_ flag: String) -> WritableKeyPath<GroupsOptions, Int>? {
    switch flag {
    case "--events": \.events
    case "--devices": \.devices
    case "--ahead": \.ahead
    default: nil
    }
  }

  /// Reads what follows `groups` on the command line.
  static func parse(_ words: [String]) throws(LoadFailure) -> GroupsOptions {
    var options = GroupsOptions()
    var rest = words[...]
    guard let path = rest.popFirst() else { throw LoadFailure("Redis' socket is missing") }
    options.redis = path
    while let word = rest.popFirst() {
      guard let number = number(word) else {
        options.workers.append(try BenchOptions.address(word))
        continue
      }
      guard let value = rest.popFirst().flatMap({ Int($0) }), value > 0 else {
        throw LoadFailure("\(word) takes a number from 1 on")
      }
      options[keyPath: number] = value
    }
    guard !options.workers.isEmpty else { throw LoadFailure("no worker is named") }
    return options
  }
}
