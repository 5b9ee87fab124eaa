// Owns: the options of a load. A value; any thread.

package import LatchkeyClient
package import Loop

/// A fault in the command line, and the remedy.
package struct LoadArgumentError: Error, Equatable {
  package let text: String

  package init(_ text: String) { self.text = text }
}

/// The options of a load.
package struct LoadOptions: Sendable {
  /// How callers come by a connection.
  package enum Connect: String, Sendable {
    /// Each message's caller makes one and closes it, as functions do.
    case perCall = "per-call"
    /// Each conversation keeps one.
    case keep
  }

  /// A command that is run every so often, to cause a fault.
  package struct Chaos: Sendable {
    package var command: String
    package var everyMs: Int64
  }

  package var targets: [Address] = [.tcp(host: "127.0.0.1", port: 5282)]
  package var conversations = 100
  package var durationMs: Int64 = 30_000
  package var warmupMs: Int64 = 0
  package var connect = Connect.perCall
  /// Messages a second, whatever the replies take; nil lets each conversation wait for its own.
  package var rate: Double?
  package var thinkMs: Int64 = 1_000
  package var ttlMs: Int64 = 10_000
  package var timeoutMs: Int64 = 2_000
  /// How long an ending may go unreported.
  package var patienceMs: Int64 = 15_000
  package var messageBytes = 200
  package var mix = Mix()
  package var seed: UInt64 = 0
  /// How callers speak TLS; nil if they do not.
  package var tls: LatchkeyTLS?
  /// The file with the secret; the load's caller reads it.
  package var secretFile: String?
  /// The secret for AUTH; nil if there is no authentication.
  package var secret: String?
  /// The consumer group that reads all events; nil if none does.
  package var group: String?
  package var chaosCommand: String?
  package var chaosEveryMs: Int64 = 10_000
  package var jsonPath: String?
  package var reportPath: String?

  package init() {}

  package var chaos: Chaos? {
    chaosCommand.map { Chaos(command: $0, everyMs: chaosEveryMs) }
  }

  /// A conversation is closed after so many messages, whatever the dice say.
  static let messagesMax = 200
}
