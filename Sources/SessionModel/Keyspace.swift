// Owns: the names of Redis keys and channels. docs/keys.md lists them all. A value; any thread.

/// The names of everything that one namespace keeps in Redis.
package struct Keyspace: Hashable, Sendable {
  /// The prefix of every key.
  package let namespace: String

  package init(namespace: String) { self.namespace = namespace }

  /// The prefix of every key of a partition, such as `lk:{0a3}`.
  ///
  /// The braces are Redis Cluster's hash tag: only what stands in them decides the slot. They
  /// come before any id, so no id can break the tag. Scripts get this name in KEYS, or a key that
  /// begins with it, and derive each key that they touch from it.
  package func base(_ partition: Partition) -> String { "\(namespace):{\(partition.tag)}" }

  /// The prefix of the keys of a partition's lock records; the device stands behind it.
  package func recordPrefix(_ partition: Partition) -> String { base(partition) + ":held:" }

  /// Says with which layout the namespace was made.
  package var layoutKey: String { "\(namespace):partitions" }

  /// The libraries of functions of this namespace, each with the time of its last use.
  ///
  /// Each node of a cluster has a list, in the first of its partitions; so it is with the workers.
  package func libraries(at home: Partition) -> String { base(home) + ":libraries" }

  /// The log of events of a partition.
  package func events(_ partition: Partition) -> String { base(partition) + ":events" }

  /// The key whose expiry shows a worker that the notifications of a node come.
  package func canary(_ worker: String, at home: Partition) -> String {
    base(home) + canarySuffix(worker)
  }

  /// Whether a key is a worker's canary, at whatever node.
  package func isCanary(_ key: String, of worker: String) -> Bool {
    partition(ofKey: key) != nil && key.drop { $0 != "}" }.dropFirst() == canarySuffix(worker)
  }

  private func canarySuffix(_ worker: String) -> String { ":canary:\(worker)" }

  /// The channel on which scripts inform a worker about the callers that wait there.
  package func channel(toWorker worker: String) -> String { "\(namespace):to:\(worker)" }

  /// The channel of the changes of all devices of a partition, or those of one of its devices.
  package func changes(_ partition: Partition, of device: String? = nil) -> String {
    base(partition) + ":changes" + (device.map { ":" + $0 } ?? "")
  }

  /// The partition of a key of ours, if it is one that belongs to a partition.
  package func partition(ofKey key: String) -> Partition? {
    let prefix = namespace + ":{"
    guard key.hasPrefix(prefix) else { return nil }
    let rest = key.dropFirst(prefix.count)
    guard rest.dropFirst(3).hasPrefix("}:") else { return nil }
    return Partition(tag: rest.prefix(3))
  }

  /// Whether a key of a partition is a lock's or a session's.
  ///
  /// Those have an entry in the deadline index; a kept reply, say, just goes.
  package func hasDeadline(_ key: String) -> Bool {
    let rest = key.drop { $0 != "}" }
    return rest.hasPrefix("}:lock:") || rest.hasPrefix("}:session:")
  }

  /// The fleet's figures, as the worker that counts them has left them for the others.
  package var figuresKey: String { base(Keyspace.figures) + ":figures" }
  /// The key that signs the fleet's tickets, in the same partition.
  package var ticketKey: String { base(Keyspace.figures) + ":ticket_key" }
  /// The id of the data, in the same partition.
  package var fleetKey: String { base(Keyspace.figures) + ":fleet" }
  /// The partition that has them.
  package static let figures = Partition.all[0]

  /// The workers that live, each with the time of its last heartbeat.
  package func workers(at home: Partition) -> String { base(home) + ":workers" }
}
