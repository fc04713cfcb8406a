"""Parses, queries, changes and writes an XML document of 30 000 elements."""

from lxml import etree

root = etree.Element("library")
for number in range(10_000):
    book = etree.SubElement(root, "book", id=str(number))
    etree.SubElement(book, "title").text = f"Title {number} \u00fcber"
    etree.SubElement(book, "year").text = str(1900 + number % 120)
document = etree.tostring(root, pretty_print=True)
tree = etree.fromstring(document)
recent = tree.xpath("//book[year > 1999]/title/text()")
for element in tree.iter("year"):
    element.text = str(int(element.text) + 1)
for _, element in etree.iterparse(__import__("io").BytesIO(document), tag="title"):
    element.clear()
print(len(document), len(recent), len(etree.tostring(tree)))
