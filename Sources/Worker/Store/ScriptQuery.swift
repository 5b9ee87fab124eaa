// Owns: how a script call is asked for: by partitions, never by keys. A value; any thread.

internal import Scripts
internal import SessionModel

/// A call of a script that serves one request.
struct ScriptQuery: Sendable {
  let script: Script
  /// The partitions that it looks at; the script gets a key of each, in this order.
  let partitions: [Partition]
  let arguments: [String]

  /// About one partition.
  init(_ script: Script, at partition: Partition, _ arguments: [String]) {
    self.init(script, over: [partition], arguments)
  }

  /// About several, or all.
  init(_ script: Script, over partitions: [Partition], _ arguments: [String] = []) {
    self.script = script
    self.partitions = partitions
    self.arguments = arguments
  }
}
