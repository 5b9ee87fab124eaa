// Owns: how a script call is asked for: by partitions, never by keys. A value; any thread.

package import RedisConnection
package import Scripts
package import SessionModel

/// A call of a script that is in no batch.
package struct ScriptQuery: Sendable {
  package let script: Script
  /// The partitions that it looks at; the script gets a key of each, in this order.
  package let partitions: [Partition]
  /// The words behind the keys.
  let arguments: CommandBuffer

  /// About one partition.
  package init<Call: ScriptCall>(_ call: Call, at partition: Partition) {
    self.init(call, over: [partition])
  }

  /// About several partitions, or all, at once.
  package init<Call: ScriptCall>(_ call: Call, over partitions: [Partition]) {
    script = Call.script
    self.partitions = partitions
    var words = CommandBuffer()
    call.write(to: &words)
    arguments = words
  }

  /// Several requests, each about its partition.
  package init<Call: ScriptCall>(_ requests: [(partition: Partition, call: Call)]) {
    script = Call.script
    partitions = requests.map(\.partition)
    var words = CommandBuffer()
    for request in requests { request.call.write(to: &words) }
    arguments = words
  }
}
