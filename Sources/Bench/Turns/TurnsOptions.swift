// Owns: the options of the measurements of turns, and how they are read. A value.

import Loop

/// By whom and for how long turns are asked for.
struct TurnsOptions {
  var workers: [Address] = []
  var connections = 25
  var seconds = 3
  var observed: [BenchOptions.Observed] = []

  /// The number that a flag sets; nil if it is none.
  private static func number(_ flag: String) -> WritableKeyPath<TurnsOptions, Int>? {
    switch flag {
    case "--connections": \.connections
    case "--seconds": \.seconds
    default: nil
    }
  }

  /// Reads what follows the name of the measurement on the command line.
  static func parse(_ words: [String]) throws(LoadFailure) -> TurnsOptions {
    var options = TurnsOptions()
    var rest = words[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else {
        options.workers.append(try BenchOptions.address(word))
        continue
      }
      guard let value = rest.popFirst() else { throw LoadFailure("\(word) needs a value") }
      if let number = number(word) {
        guard let count = Int(value), count > 0 else {
          throw LoadFailure("\(word) takes a number from 1 on")
        }
        options[keyPath: number] = count
      } else if word == "--pid" {
        options.observed.append(try BenchOptions.observed(value))
      } else {
        throw LoadFailure("there is no option '\(word)'; see --help")
      }
    }
    guard !options.workers.isEmpty else { throw LoadFailure("turns takes HOST:PORT...") }
    return options
  }
}
