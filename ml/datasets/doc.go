// Package datasets holds collections of examples to train and test with: MNIST
// (shipped), the files of CIFAR, folders of images, slices, and what is made from
// others by mapping, splitting and augmenting; a [Vocabulary] numbers the words of
// text files, such as the Penn Treebank's.
//
// A [Dataset] is lazy: At does the work, so a folder of images is never in
// memory as a whole.
package datasets
