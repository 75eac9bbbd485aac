package import RPCClient
package import ServiceKit

extension PeerLocation {
    /// What finds the servers there.
    package var resolver: any PeerResolver {
        switch self {
        case .addresses(let addresses): StaticResolver(addresses)
        case .dns(let name): .dns(name)
        case .file(let path): .file(path)
        }
    }
}
