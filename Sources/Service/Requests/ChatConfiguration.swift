// Owns: how a chat's configuration is merged: here, since scripts do not look into what callers
// store. Pure; any thread.

internal import Wire

/// How a chat's configuration is merged: at the top level, as RFC 7396 has it.
enum ChatConfiguration {
  static let bytesMax = 256 << 10
  static let limit = JSONLimit(
    bytesMax, RequestError(.tooLarge, "a chat's configuration may have \(bytesMax) bytes"))

  /// The members of one object after those of another were merged into it.
  ///
  /// A null removes; what is no object has no members, and neither has an old value that is no
  /// JSON. Values, and the names of members that stay, are copied as they stand.
  static func merged(_ old: [UInt8], with patch: [UInt8]) -> [UInt8] {
    let isReadable = LineJSON.isValue(
      old.span, depthMax: RequestParser.payloadDepthMaxDefault)
    var members: [Member] = []
    var places: [MemberName: Int] = [:]
    // A null of the old one stays, for it may have been given with the chat.
    for (text, removes) in [(isReadable ? old : [], false), (patch, true)]
    where text.first == UInt8(ascii: "{") {
      var walk = JSONMembers(0, text.count)
      while let (key, value) = walk.next(in: text.span) {
        let isNull = value.count == 4 && text[value].elementsEqual("null".utf8)
        let member = Member(
          key: text[key.range], value: text[value], isRemoved: removes && isNull)
        let name = MemberName(text, key)
        if let place = places[name] {
          members[place] = member
        } else {
          places[name] = members.count
          members.append(member)
        }
      }
    }
    return object(of: members)
  }

  private static func object(of members: [Member]) -> [UInt8] {
    var merged: [UInt8] = [UInt8(ascii: "{")]
    for member in members where !member.isRemoved {
      if merged.count > 1 { merged.append(UInt8(ascii: ",")) }
      merged.append(UInt8(ascii: "\""))
      merged += member.key
      merged.append(UInt8(ascii: "\""))
      merged.append(UInt8(ascii: ":"))
      merged += member.value
    }
    merged.append(UInt8(ascii: "}"))
    return merged
  }

  /// A member as it stands in the text that was the last to name it.
  private struct Member {
    let key: ArraySlice<UInt8>
    let value: ArraySlice<UInt8>
    let isRemoved: Bool
  }

  /// A member's name, however it is escaped; one with half of a pair, which is no text, as it is.
  ///
  /// Hashed in one piece: a configuration of 256 KiB has 40,000 of them, which took 20 ms byte by
  /// byte.
  private struct MemberName: Hashable {
    private let bytes: ArraySlice<UInt8>

    init(_ text: [UInt8], _ key: Token) {
      let written = text[key.range]
      guard written.contains(UInt8(ascii: "\\")) else {
        bytes = written
        return
      }
      var name: [UInt8] = []
      do throws(RequestError) {
        try JSONString.decode(text.span, key, into: &name)
        bytes = name[...]
      } catch {
        bytes = written
      }
    }

    func hash(into hasher: inout Hasher) {
      bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
  }
}
