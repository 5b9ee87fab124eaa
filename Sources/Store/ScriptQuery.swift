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

  private init(_ script: Script, _ partitions: [Partition], _ arguments: CommandBuffer) {
    (self.script, self.partitions, self.arguments) = (script, partitions, arguments)
  }

  /// The first word of the first request.
  var firstWord: [UInt8] { arguments.text(ofWordAt: 0) }

  /// The same call for some of the partitions, by their places.
  ///
  /// Of a script that serves many requests each partition has its words, and one whose last
  /// parameter is a list has a word of it for each; all other words are for all.
  func part(_ places: [Int]) -> ScriptQuery {
    guard places != Array(partitions.indices) else { return self }
    let words = arguments.words
    let stride = script.argumentsPerRequest
    var kept: [[UInt8]]
    if stride > 0 {
      kept = places.flatMap { words[($0 * stride)..<(($0 + 1) * stride)] }
    } else {
      let lists = script.parameters.last?.isList == true
      let shared = lists ? script.parameters.count - 1 : words.count
      kept = Array(words[..<shared])
      if lists { kept += places.map { words[shared + $0] } }
    }
    let part = CommandBuffer(encoded: Array(kept.joined()), words: kept.count)
    return ScriptQuery(script, places.map { partitions[$0] }, part)
  }

  /// Queries of at most so many of the partitions each, in their order.
  package func parts(_ most: Int) -> [ScriptQuery] {
    stride(from: 0, to: partitions.count, by: most).map { start in
      part(Array(start..<min(partitions.count, start + most)))
    }
  }
}
