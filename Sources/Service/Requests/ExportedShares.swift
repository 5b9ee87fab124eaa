// Owns: the shares of an exported session for IMPORT. On the thread that reads the record.

internal import Access
internal import Settings
internal import Wire

extension ExportedRecord {
  /// The lines of the shares, as records keep them; empty without any.
  ///
  /// One that has ended is kept until the shares are changed, and shown no more.
  func shareLines(_ whole: [String: Range<Int>]) throws(RequestError) -> String {
    guard let range = whole["shares"], !isNull(range) else { return "" }
    var lines = ""
    var users: Set<String> = []
    for element in try elements(range, "shares") {
      let share = try object(element, "a share")
      try requireKnown(share, ExportedNames.ofShare, "a share")
      let user = try id(try need(share, "user"), "a share's user")
      let role = try string(try need(share, "role"), "a share's role")
      guard SessionRole(rawValue: role) != nil else {
        throw ExportedRecord.bad("a share's role is none of read, write and own")
      }
      guard users.insert(user).inserted else {
        throw ExportedRecord.bad("a user has two shares")
      }
      guard users.count <= settings.sharesMax else {
        throw .quota(users.count, of: settings.sharesMax, "shares of this session")
      }
      let hasEnd = share["until"].map { !isNull($0) } ?? false
      lines += "\(role) \(user) \(hasEnd ? try number(share, "until", 1...Self.numberMax) : 0)\n"
    }
    return lines
  }
}
