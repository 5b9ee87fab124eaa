// Owns: the log line for a partition whose event log is corrupt. Any thread.

package import Loop
package import SessionModel

extension Log {
  /// Reports that `events` of a partition is no stream; readers leave the partition out.
  package func corruptEventLog(of partition: Partition) {
    repeated(
      .error, "an event log is corrupt: its partition has no events until the key is removed",
      cause: partition.tag, ["partition": partition.tag])
  }
}
