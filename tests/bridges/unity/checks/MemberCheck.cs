using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace FlexAvatar.Checks
{
    /// <summary>
    /// Which members of .NET an assembly uses: "Namespace.Type.Member/parameters", sorted, a line
    /// each.
    /// </summary>
    static class MemberCheck
    {
        internal static int Run(string assembly)
        {
            using var file = new PEReader(File.OpenRead(assembly));
            MetadataReader reader = file.GetMetadataReader();
            var used = new SortedSet<string>(StringComparer.Ordinal);
            foreach (MemberReferenceHandle handle in reader.MemberReferences)
            {
                MemberReference member = reader.GetMemberReference(handle);
                string type = TypeName(reader, member.Parent);
                if (type != null)
                    used.Add($"{type}.{reader.GetString(member.Name)}{Parameters(reader, member)}");
            }
            foreach (string line in used)
                Console.WriteLine(line);
            return 0;
        }

        static string Parameters(MetadataReader reader, MemberReference member)
        {
            if (member.GetKind() == MemberReferenceKind.Field)
                return "";
            BlobReader signature = reader.GetBlobReader(member.Signature);
            SignatureHeader header = signature.ReadSignatureHeader();
            if (header.IsGeneric)
                signature.ReadCompressedInteger();
            return $"/{signature.ReadCompressedInteger()}";
        }

        static string TypeName(MetadataReader reader, EntityHandle parent)
        {
            if (parent.Kind == HandleKind.TypeReference)
                return FullName(reader, reader.GetTypeReference((TypeReferenceHandle)parent));
            if (parent.Kind != HandleKind.TypeSpecification)
                return null;
            BlobReader blob = reader.GetBlobReader(
                reader.GetTypeSpecification((TypeSpecificationHandle)parent).Signature);
            if (blob.ReadSignatureTypeCode() != SignatureTypeCode.GenericTypeInstance)
                return null;
            blob.ReadSignatureTypeCode(); // class or value type
            EntityHandle generic = blob.ReadTypeHandle();
            return generic.Kind == HandleKind.TypeReference ? TypeName(reader, generic) : null;
        }

        static string FullName(MetadataReader reader, TypeReference type)
        {
            string name = reader.GetString(type.Name);
            if (type.ResolutionScope.Kind == HandleKind.TypeReference)
                return FullName(
                    reader, reader.GetTypeReference((TypeReferenceHandle)type.ResolutionScope))
                    + "+" + name;
            return $"{reader.GetString(type.Namespace)}.{name}";
        }
    }
}
