// Owns: the file of principals: reading it, and making a line of it. No error repeats what the file
// contains. Any thread.

internal import Glibc
internal import Loop
package import Settings

/// A fault in the file: a sentence with the line's number and the allowed form.
package struct PrincipalFileError: Error, Sendable, CustomStringConvertible {
  package let description: String
}

package enum PrincipalFile {
  private static let bytesMax = 4 << 20

  /// Reads `NAME HASH[,HASH] [rights=…] [devices=…] [links=…]` and limits, `rate=…` and others, one
  /// principal a line.
  package static func load(
    _ path: String, deviceIDs: DeviceIDs
  ) throws(PrincipalFileError) -> Principals {
    try parse(read(path), deviceIDs: deviceIDs)
  }

  private static func read(_ path: String) throws(PrincipalFileError) -> String {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try RegularFile.read(path, bytesMax: bytesMax) } catch {
      throw PrincipalFileError(description: error.description)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw PrincipalFileError(description: "\(path) is not UTF-8")
    }
    return text
  }

  package static func parse(
    _ text: String, deviceIDs: DeviceIDs = .any
  ) throws(PrincipalFileError) -> Principals {
    var principals: [Principal] = []
    var names: Set<String> = []
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    for (index, line) in lines.enumerated() {
      let words = line.split { $0 == " " || $0 == "\t" }
      guard let first = words.first, !first.hasPrefix("#") else { continue }
      do throws(PrincipalFileError) {
        let principal = try principal(words, deviceIDs)
        guard names.insert(principal.name).inserted else {
          throw PrincipalFileError(description: "the name stands on an earlier line too")
        }
        principals.append(principal)
      } catch {
        throw PrincipalFileError(description: "line \(index + 1): \(error)")
      }
    }
    guard !principals.isEmpty else {
      throw PrincipalFileError(
        description: "there is no principal in it; 'latchkey secret NAME' makes a line for one")
    }
    return Principals(principals)
  }

  private static func principal(
    _ words: [Substring], _ deviceIDs: DeviceIDs
  ) throws(PrincipalFileError) -> Principal {
    let name = String(words[0])
    guard isName(name) else { throw PrincipalFileError(description: nameRule) }
    let hashes = words.count > 1 ? words[1].split(separator: ",").compactMap(SecretHash.init) : []
    guard !hashes.isEmpty, hashes.count == words[1].split(separator: ",").count else {
      throw PrincipalFileError(
        description: "the second word is the hash of a secret, as 'latchkey secret' makes it; "
          + "two with a comma between them while one replaces the other")
    }
    var grant = PrincipalGrant()
    for word in words.dropFirst(2) {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw PrincipalFileError(description: PrincipalGrant.rule) }
      try grant.set(String(parts[0]), String(parts[1]))
    }
    let devices = grant.devices ?? []
    return Principal(
      name: name, hashes: hashes, rights: grant.rights ?? [],
      devices: deviceIDs == .uuid ? devices.map(\.inSmallLetters) : devices,
      links: grant.links ?? [], limits: grant.limits)
  }

  static let nameRule = "a name is 1 to 64 of A-Z a-z 0-9 _ and -"

  static func isName(_ name: String) -> Bool {
    1...64 ~= name.utf8.count
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }
}

/// The grants of one line.
private struct PrincipalGrant {
  var rights: RightsSet?
  var devices: [Pattern]?
  var links: [LinkPattern]?
  var limits = PrincipalLimits()
  private var limited: Set<PrincipalLimits.Kind> = []

  static let rule =
    "after the hash stand rights=read,write,operate, devices=PATTERN,…, links=KIND=REF,… and "
    + PrincipalLimits.Kind.allCases.map { "\($0.rawValue)=N" }.joined(separator: ", ")

  mutating func set(_ name: String, _ value: String) throws(PrincipalFileError) {
    if let kind = PrincipalLimits.Kind(rawValue: name) { return try limit(kind, value) }
    let values = value.split(separator: ",", omittingEmptySubsequences: false)
    switch name {
    case "rights" where rights == nil:
      let sets = values.compactMap { value in RightsSet.named.first { $0.name == value }?.set }
      guard sets.count == values.count else {
        throw PrincipalFileError(description: "rights= takes read, write and operate")
      }
      rights = RightsSet(sets)
    case "devices" where devices == nil:
      let patterns = values.compactMap { Pattern($0) }
      guard patterns.count == values.count else {
        throw PrincipalFileError(
          description: "devices= takes ids in which * stands for any characters, and \\* for itself"
        )
      }
      devices = patterns
    case "links" where links == nil:
      let patterns = values.compactMap { LinkPattern($0) }
      guard patterns.count == values.count else {
        throw PrincipalFileError(
          description: "links= takes KIND=REF, in which * stands for any characters and \\* for "
            + "itself, or * alone")
      }
      links = patterns
    default: throw PrincipalFileError(description: PrincipalGrant.rule)
    }
  }

  private mutating func limit(
    _ kind: PrincipalLimits.Kind, _ value: String
  ) throws(PrincipalFileError) {
    guard limited.insert(kind).inserted else {
      throw PrincipalFileError(description: PrincipalGrant.rule)
    }
    let range = PrincipalLimits.Kind.range
    let isNumber = value.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    guard isNumber, let most = Int(value), range.contains(most) else {
      throw PrincipalFileError(
        description: "\(kind.rawValue)= takes \(range.lowerBound) to \(range.upperBound)")
    }
    limits[kind] = most
  }
}

// MARK: Making a line

/// A new principal: its secret, which is shown once, and its line in the file.
package struct NewPrincipal: Sendable {
  package let secret: String
  package let line: String

  /// A secret shorter than this can be guessed.
  private static let secretBytesMin = 32

  /// Makes a secret if none is given; `grants` are words such as `rights=read`.
  package init(
    name: String, secret given: String?, grants: [String]
  ) throws(PrincipalFileError) {
    guard PrincipalFile.isName(name) else {
      throw PrincipalFileError(description: PrincipalFile.nameRule)
    }
    let salt: [UInt8]
    do throws(SystemError) {
      if let given {
        secret = given
      } else {
        secret = "\(name).\(Hex.text(try Digest.randomBytes(32)))"
      }
      salt = try Digest.randomBytes(16)
    } catch {
      throw PrincipalFileError(description: error.description)
    }
    let random = secret.dropFirst(name.count + 1)
    guard secret.hasPrefix("\(name)."), random.utf8.count >= NewPrincipal.secretBytesMin,
      secret.utf8.count <= 1_024, random.utf8.allSatisfy({ 0x21...0x7E ~= $0 })
    else {
      throw PrincipalFileError(
        description: "a secret is the name, a point, and \(NewPrincipal.secretBytesMin) or more "
          + "printable characters that cannot be guessed")
    }
    let hash = Array(secret.utf8).withUnsafeBufferPointer { SecretHash(salt: salt, of: $0) }
    line = ([name, hash.text] + grants).joined(separator: " ")
    // A worker must be able to read the line.
    _ = try PrincipalFile.parse(line)
  }
}
