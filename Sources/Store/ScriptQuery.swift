// Owns: how a script call is asked for: by partitions, never by keys. A value; any thread.

package import Scripts
package import SessionModel

/// A call of a script that serves one request.
package struct ScriptQuery: Sendable {
  package let script: Script
  /// The partitions that it looks at; the script gets a key of each, in this order.
  package let partitions: [Partition]
  package let arguments: [String]

  /// About one partition.
  package init(_ script: Script, at partition: Partition, _ arguments: [String]) {
    self.init(script, over: [partition], arguments)
  }

  /// About several, or all.
  package init(_ script: Script, over partitions: [Partition], _ arguments: [String] = []) {
    self.script = script
    self.partitions = partitions
    self.arguments = arguments
  }
}
