//! Tags.

use super::*;

#[test]
fn tags_have_limits() {
    let mut world = World::with_web();
    let add = |tags: &str| format!("AddTags&LoadBalancerNames.member.1=web{tags}");
    world.must(&add("&Tags.member.1.Key=env&Tags.member.1.Value=prod&Tags.member.2.Key=empty"));
    world.must(&add("&Tags.member.1.Key=env&Tags.member.1.Value=test"));
    let told = world.must("DescribeTags&LoadBalancerNames.member.1=web&LoadBalancerNames.member.2=filed");
    assert_eq!(
        told,
        "<TagDescriptions><member><LoadBalancerName>web</LoadBalancerName><Tags>\
         <member><Key>empty</Key><Value></Value></member><member><Key>env</Key><Value>test</Value></member></Tags></member>\
         <member><LoadBalancerName>filed</LoadBalancerName><Tags></Tags></member></TagDescriptions>"
    );
    let many: String = (1..=49).map(|n| format!("&Tags.member.{n}.Key=k{n}")).collect();
    assert_eq!(world.refused(&add(&many)).0, TooManyTags);
    world.must(&add(&many.replace("&Tags.member.49.Key=k49", "")));
    assert_eq!(world.refused(&add("&Tags.member.1.Key=a&Tags.member.2.Key=a")).0, DuplicateTagKeys);
    assert_eq!(world.refused(&add("")).0, ValidationError);
    assert_eq!(world.refused(&add("&LoadBalancerNames.member.2=filed&Tags.member.1.Key=a")).0, ValidationError);
    world.must("RemoveTags&LoadBalancerNames.member.1=web&Tags.member.1.Key=env&Tags.member.2.Key=none");
    assert_eq!(world.web().facts().tags.len(), 49);
    let names: String = (1..=21).map(|n| format!("&LoadBalancerNames.member.{n}=web")).collect();
    assert_eq!(world.refused(&format!("DescribeTags{names}")).0, ValidationError);
}
