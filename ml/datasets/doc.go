// Package datasets holds collections of examples to train and test with: MNIST
// (shipped), folders of images, slices, and what is made from others by
// mapping, splitting and augmenting.
//
// A [Dataset] is lazy: At does the work, so a folder of images is never in
// memory as a whole.
package datasets
