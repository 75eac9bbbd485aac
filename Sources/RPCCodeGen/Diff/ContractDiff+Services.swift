extension ContractDiff {
    mutating func compareServices(_ old: ContractModel, _ new: ContractModel) {
        let (before, after) = (named(old.services, by: \.fullName), named(new.services, by: \.fullName))
        for service in old.services {
            if let next = after[service.fullName] {
                compare(service, next)
            } else {
                report(.breaking, .service, service.place(.old), "the service is gone")
            }
        }
        for service in new.services where before[service.fullName] == nil {
            report(.compatible, .service, service.place(.new), "a new service")
        }
    }

    private mutating func compare(_ old: ServiceModel, _ new: ServiceModel) {
        // SYNC promises that nothing in it waits; ASYNC promises nothing that SYNC does not keep.
        compare(
            .execution, "execution", old.rules.execution.word, new.rules.execution.word, new.rulesPlace, breaks: old.isSync)
        compare(
            .hosting, "hosted_by_both", old.rules.hostedByBoth, new.rules.hostedByBoth, new.rulesPlace,
            breaks: old.rules.hostedByBoth)
    }

    func named<Model>(_ models: [Model], by name: (Model) -> String) -> [String: Model] {
        Dictionary(models.map { (name($0), $0) }, uniquingKeysWith: { first, _ in first })
    }
}

extension ServiceModel {
    func place(_ side: Change.Side) -> Place { Place(subject: fullName, position: descriptor.position(), side: side) }

    fileprivate var rulesPlace: Place { Place(subject: fullName, position: descriptor.position(ofOption: .service)) }
}
