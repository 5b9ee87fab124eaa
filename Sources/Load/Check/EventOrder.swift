// Owns: the order of events that an event log gives them. A value; any thread.

/// The place of an event in its log: `partition-ms-number`.
struct EventOrder: Comparable {
  private let ms: Int64
  private let number: Int64

  init(_ id: String) {
    let parts = id.split(separator: "-").suffix(2).map { Int64($0) ?? 0 }
    ms = parts.first ?? 0
    number = parts.last ?? 0
  }

  static func < (a: EventOrder, b: EventOrder) -> Bool { (a.ms, a.number) < (b.ms, b.number) }
}
