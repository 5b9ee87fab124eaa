// Owns: the quotas of live sessions that a request is held against, as scripts take them. Lives
// during one call of the verb, on the loop's thread.

internal import Access
internal import Events
internal import RedisConnection

extension Call {
  /// The numbers of live sessions in all and of its caller's principal, where there is no room;
  /// with the principal's mark, `<live> <most> @<mark>/<live>/<most>`.
  var fleet: ArgumentText? {
    let owner = checksAccess ? caller.ownerText(.sessions).dropFirst() : ""
    guard !owner.isEmpty else { return shared.fleet.map { ArgumentText($0) } }
    return ArgumentText((shared.fleet.map { "\($0) " } ?? "") + "@\(owner)")
  }
}
