// Owns: the load generator's options and how they are read. A value.

import Loop

/// The options of a load.
struct BenchOptions {
  /// A process whose processor time is to be reported.
  struct Observed {
    let name: String
    let pid: Int
  }

  var target = LoadTarget.latchkey
  var address = Address.tcp(host: "127.0.0.1", port: 0)
  var connections = 50
  var devices = 20_000
  var seconds = 3.0
  /// No more than so many requests are counted; nil has no limit.
  var requests: Int?
  /// Requests a second in all, sent when they are due; nil sends the next one after each reply.
  var rate: Double?
  /// The Redis that gets the lock script, if it is not the one that is asked.
  var scripts: Address?
  /// The file of the authority whose certificate the target has: it is reached by TLS.
  var authority: String?
  var observed: [Observed] = []
  var holds = false
  /// The verb that the callers send.
  var verb = BenchVerb.lock
  /// How many messages `fill` gives each device's session.
  var messages = 20
  /// The prefix of the devices' names.
  var prefix = "device"

  /// Reads the command line; nil if it only asks for help.
  static func parse(_ arguments: [String]) throws(LoadFailure) -> BenchOptions? {
    if arguments.isEmpty || arguments.contains("--help") || arguments.contains("-h") { return nil }
    guard arguments.count >= 2, let target = LoadTarget(rawValue: arguments[0]) else {
      throw LoadFailure("the first two words are latchkey, http, redis or webdis, and HOST:PORT")
    }
    var options = BenchOptions()
    options.target = target
    options.address = try address(arguments[1])
    var rest = arguments[2...]
    while let flag = rest.popFirst() {
      if flag == "--hold" {
        options.holds = true
        continue
      }
      guard let value = rest.popFirst() else { throw LoadFailure("\(flag) needs a value") }
      try options.set(flag, value)
    }
    if options.target == .webdis, options.scripts == nil {
      throw LoadFailure("webdis needs --scripts: the Redis behind it, which gets the lock script")
    }
    guard options.devices >= options.connections else {
      throw LoadFailure("\(options.devices) devices are too few: each caller needs its own")
    }
    return options
  }

  static func address(_ text: String) throws(LoadFailure) -> Address {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[colon...].dropFirst()) else {
      throw LoadFailure("'\(text)' is not HOST:PORT")
    }
    return .tcp(host: String(text[..<colon]), port: port)
  }

  private mutating func set(_ flag: String, _ value: String) throws(LoadFailure) {
    switch flag {
    case "--connections": connections = try number(flag, value, min: 1)
    case "--devices": devices = try number(flag, value, min: 1)
    case "--requests": requests = try number(flag, value, min: 0)
    case "--seconds":
      guard let seconds = Double(value), seconds > 0, seconds <= 86_400 else {
        throw LoadFailure("\(flag) takes seconds, not '\(value)'")
      }
      self.seconds = seconds
    case "--messages": messages = try number(flag, value, min: 1)
    case "--prefix": prefix = value
    case "--tls-ca": authority = value
    case "--verb":
      guard let verb = BenchVerb(rawValue: value) else {
        let known = BenchVerb.allCases.map(\.rawValue).joined(separator: ", ")
        throw LoadFailure("\(flag) takes one of \(known), not '\(value)'")
      }
      self.verb = verb
    case "--rate":
      guard let rate = Double(value), rate >= 1, rate <= 1e7 else {
        throw LoadFailure("\(flag) takes requests a second, from 1 on, not '\(value)'")
      }
      self.rate = rate
    case "--scripts": scripts = try BenchOptions.address(value)
    case "--pid": observed.append(try BenchOptions.observed(value))
    default: throw LoadFailure("there is no option '\(flag)'; see --help")
    }
  }

  static func observed(_ value: String) throws(LoadFailure) -> Observed {
    let parts = value.split(separator: "=", maxSplits: 1)
    guard parts.count == 2, let pid = Int(parts[1]) else {
      throw LoadFailure("--pid takes NAME=PID, not '\(value)'")
    }
    return Observed(name: String(parts[0]), pid: pid)
  }

  private func number(_ flag: String, _ value: String, min: Int) throws(LoadFailure) -> Int {
    guard let number = Int(value), number >= min else {
      throw LoadFailure("\(flag) takes a whole number from \(min), not '\(value)'")
    }
    return number
  }
}
