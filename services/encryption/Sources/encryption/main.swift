import EncryptionService
import ServiceKit

EncryptionProcess.process.main()
