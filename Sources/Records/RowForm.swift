// Owns: the forms of replies that are one list. A value; any thread.

internal import RedisConnection

/// The forms of replies that begin with what Redis holds, as one list: a list within a list costs
/// Redis more than three of its values.
///
/// Such a reply ends with its form's number: what Redis holds are texts, none of which can be taken
/// for it. The scripts that make them have the same numbers.
enum RowForm: Int64 {
  case record = -1
  case history = -2
  case report = -3

  /// How many elements follow what Redis holds.
  var extraCount: Int { self == .history ? 12 : 5 }

  /// The form of a reply; nil if it has another one.
  init?(_ reply: RedisReply) {
    let last = reply[reply.count - 1]
    guard last.kind == .integer, let form = last.integer.flatMap({ RowForm(rawValue: $0) }),
      reply.count >= form.extraCount
    else { return nil }
    self = form
  }
}
