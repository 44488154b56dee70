"""Images and objects over the network: the only room that knows pynetdicom and DICOMweb."""
