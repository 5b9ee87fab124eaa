// Owns: the way into this module: looks for the workers, runs one load, gives its figures. Main
// thread.

internal import Glibc
internal import LatchkeyClient
internal import Loop

/// The concurrent-session harness.
package enum LoadHarness {
  /// Why a load could not even begin.
  package struct CannotStart: Error {
    package let text: String
  }

  /// Runs a load to its end.
  package static func run(_ options: LoadOptions) throws(CannotStart) -> LoadResult {
    // A reader that goes away ends a connection, not the harness.
    signal(SIGPIPE, SIG_IGN)
    try raiseDescriptorLimit(for: options.conversations)
    var targets: [WorkerTarget] = []
    var server = ""
    for target in options.targets {
      server = try greet(target, options)
      do throws(SystemError) {
        guard case .tcp(let host, _) = target else { continue }
        targets.append(WorkerTarget(address: try SocketAddress.resolve(target), host: host))
      } catch {
        throw CannotStart(text: error.description)
      }
    }
    let tls: TLSContext?
    do throws(LatchkeyError) { tls = try options.tls?.context() } catch {
      throw CannotStart(text: "\(error)")
    }
    do throws(SystemError) {
      let run = try LoadRun(
        options, targets, tls: tls, runName: runName(), progress: ProgressLine())
      let startedAtMs = WallTime.nowMs()
      run.run()
      return LoadResult(run, server: server, startedAtMs: startedAtMs)
    } catch {
      throw CannotStart(text: error.description)
    }
  }

  /// Distinguishes the devices of this run from those of all others.
  private static func runName() -> String {
    String(UInt64(WallTime.nowMs()), radix: 36)
      + String(UInt32.random(in: .min ... .max), radix: 36)
  }

  /// Two for each conversation, since rivals come, and some for the rest.
  private static func raiseDescriptorLimit(for conversations: Int) throws(CannotStart) {
    var limit = rlimit()
    let which = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(which, &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(which, &limit)
    let needed = conversations + conversations / 4 + 64
    guard limit.rlim_max != rlim_t.max, limit.rlim_max < rlim_t(needed) else { return }
    throw CannotStart(
      text: "\(conversations) conversations take about \(needed) descriptors, and this process may "
        + "have \(limit.rlim_max); raise the hard limit (ulimit -Hn) or ask for fewer")
  }

  /// Asks a worker who it is; gives a line about it.
  private static func greet(
    _ target: Address, _ options: LoadOptions
  ) throws(CannotStart) -> String {
    guard case .tcp(let host, let port) = target else {
      throw CannotStart(text: "\(target) is no HOST:PORT")
    }
    do throws(LatchkeyError) {
      let connection = try LatchkeyConnection(host: host, port: port, tls: options.tls)
      defer { connection.close() }
      if let secret = options.secret {
        let reply = try connection.authenticate(secret)
        guard reply.word == .ok else { throw refused(target, reply.line) }
      }
      let reply = try connection.request("INFO")
      guard reply.word == .ok else { throw refused(target, reply.line) }
      return serverLine(reply.body)
    } catch {
      throw CannotStart(text: "\(target): \(error)")
    }
  }

  private static func refused(_ target: Address, _ line: String) -> LatchkeyError {
    .cannotConnect(AuthText.refusal(line))
  }

  /// The content of INFO, in a few words.
  private static func serverLine(_ info: Substring) -> String {
    let parts = info.split(separator: "\"")
    func value(after name: Substring, skipping: Int = 0) -> Substring? {
      let found = parts.indices.filter { parts[$0] == name }.dropFirst(skipping).first
      return found.flatMap { $0 + 2 < parts.count ? parts[$0 + 2] : nil }
    }
    let version = value(after: "version") ?? "?"
    let redis = value(after: "version", skipping: 1) ?? "?"
    return "Latchkey \(version), Redis \(redis)"
  }
}
