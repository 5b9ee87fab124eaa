// Owns: the messages between the tail of the logs and the loops. Values; any thread.

package import SessionModel

/// What subscriptions need of the tail.
package enum TailDemand {
  case nothing
  /// Which partitions have new events.
  case growth
  /// The events themselves.
  case events
}

/// What the tail reports to all loops, in the order in which it was found.
package enum TailReport: Sendable {
  /// These partitions have new events.
  case grown(PartitionSet)
  /// Events have come, in the order of each log.
  case events([FleetEvent])
  /// Events have gone that the tail had not read.
  case lost([TailLoss])
  /// It follows the logs from their present ends: it is not known what has come before.
  case began
  /// It does not follow the logs any more.
  case rested
}

/// Events of a partition that have gone unread.
package struct TailLoss: Sendable {
  package let partition: Partition
  /// A watch has missed some if it began before this id.
  package let before: StreamID

  package init(partition: Partition, before: StreamID) {
    (self.partition, self.before) = (partition, before)
  }
}

/// A serving loop's request to the tail: let every event after now be reported.
package struct TailRequest: Sendable {
  package let loop: Int
  package let number: UInt64
  /// The logs of a watch, which gets their ends; nil for a request that waits.
  package let watch: WatchedLogs?

  package init(loop: Int, number: UInt64, watch: WatchedLogs?) {
    (self.loop, self.number, self.watch) = (loop, number, watch)
  }
}

/// The logs in which the events of a watch can be.
package enum WatchedLogs: Sendable {
  case all
  case of(Partition)

  var partitions: [Partition] {
    switch self {
    case .all: Partition.all
    case .of(let partition): [partition]
    }
  }
}

/// The answer of the tail.
package struct TailAnswer: Sendable {
  package let number: UInt64
  package let watch: WatchedLogs?
  /// Where each log asked for ended, none for a request that waits; nil if Redis did not say.
  package let tails: [StreamID]?

  /// Where a partition's log ended; zero for one that was not asked for.
  package func tail(_ partition: Partition) -> StreamID {
    guard let tails, let watch else { return .zero }
    return switch watch {
    case .all: tails[partition.index]
    case .of(let watched): watched == partition ? tails[0] : .zero
    }
  }

  /// Whether the watch may have events of this partition.
  func concerns(_ partition: Partition) -> Bool {
    switch watch {
    case nil: false
    case .all: true
    case .of(let watched): watched == partition
    }
  }
}
