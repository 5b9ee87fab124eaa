// Owns: the options of `cycles`, `attack`, `requests` and `overload`, and how they are read.
// Values.

import Glibc
import Loop

/// The kinds of callers that mean no good, or do not know better.
enum Attack: String, CaseIterable {
  /// They send a byte now and then, and never a whole line.
  case drip
  /// They connect and say nothing.
  case idle
  /// They ask and never read.
  case deaf
  /// They send most of a large request, and never its end.
  case hoard
  /// They import one session after another that takes long to read and is refused.
  case large
  /// They connect, ask once and go, one after another.
  case storm
  /// They break the connection in the middle of what they ask.
  case reset
}

/// The options of `cycles`, `attack`, `requests` and `overload`.
struct FleetOptions {
  var address: Address
  var connections = 50
  var seconds = 3.0
  /// The callers' secret; nil without authentication.
  var secret: String?
  /// The file of the authority whose certificate the target has: it is reached by TLS.
  var authority: String?
  /// Whether a caller resumes the TLS session of its latest connection.
  var resumes = true
  var observed: [BenchOptions.Observed] = []
  /// The file of the lines that `requests` sends; how often, 0 for as long as there is time.
  var linesFile: String?
  var rounds = 0
  /// Whether its callers are gone as soon as they have asked.
  var leaves = false
  /// How long they wait after a refusal.
  var pauseMs: Int64 = 0
  /// How many requests a second `overload` sends, and then, for how many seconds.
  var rate: Double?
  var afterRate: Double?
  var afterSeconds = 3.0
  /// How many devices its requests are about.
  var devices = 1_000

  static func parse(_ arguments: [String]) throws(LoadFailure) -> FleetOptions {
    guard let place = arguments.first else { throw LoadFailure("HOST:PORT is missing") }
    var options = FleetOptions(address: try BenchOptions.address(place))
    var rest = arguments.dropFirst()
    while let flag = rest.popFirst() {
      if flag == "--no-resume" {
        options.resumes = false
        continue
      }
      guard let value = rest.popFirst() else { throw LoadFailure("\(flag) needs a value") }
      switch flag {
      case "--tls-ca": options.authority = value
      case "--connections":
        guard let count = Int(value), 1...60_000 ~= count else {
          throw LoadFailure("\(flag) takes 1 to 60000, not '\(value)'")
        }
        options.connections = count
      case "--seconds": options.seconds = try positive(flag, value)
      case "--rate": options.rate = try positive(flag, value)
      case "--after-rate": options.afterRate = try positive(flag, value)
      case "--after-seconds": options.afterSeconds = try positive(flag, value)
      case "--devices": options.devices = Int(try positive(flag, value))
      case "--secret-file": options.secret = try secret(value)
      case "--lines": options.linesFile = value
      case "--leave": options.leaves = value == "yes"
      case "--rounds", "--pause-ms":
        guard let count = Int(value), 0...1_000_000 ~= count else {
          throw LoadFailure("\(flag) takes 0 to 1000000, not '\(value)'")
        }
        if flag == "--rounds" { options.rounds = count } else { options.pauseMs = Int64(count) }
      case "--pid": options.observed.append(try BenchOptions.observed(value))
      default: throw LoadFailure("there is no option '\(flag)'; see --help")
      }
    }
    return options
  }

  private static func positive(_ flag: String, _ value: String) throws(LoadFailure) -> Double {
    guard let number = Double(value), number > 0, number <= 1e7 else {
      throw LoadFailure("\(flag) takes a number up to 10000000, not '\(value)'")
    }
    return number
  }

  private static func secret(_ path: String) throws(LoadFailure) -> String {
    guard let file = fopen(path, "re") else { throw LoadFailure("\(path) cannot be read") }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 1_024)
    guard fgets(&line, 1_024, file) != nil else { throw LoadFailure("\(path) is empty") }
    let bytes = line.prefix { $0 != 0 && $0 != 10 && $0 != 13 }.map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self)
  }
}
